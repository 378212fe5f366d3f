//! Wrong settings stop the start with one line.

use std::time::Duration;

use test_database::Program;

use super::Api;

#[test]
fn a_wrong_setting_is_one_line() {
    for (name, value) in [
        ("SERVER_PORT", "http"),
        ("SERVER_ADDRESS", "localhost"),
        ("DATABASE_MAX_CONNECTIONS", "0"),
        ("DATABASE_URL", "mysql://u:hunter2@h/d"),
        ("DATABASE_URL_FILE", "/nowhere"),
        ("CORS_ALLOWED_ORIGINS", "shop.example"),
        ("SHUTDOWN_DELAY_SECONDS", "-1"),
        ("SHUTDOWN_TIMEOUT_SECONDS", "long"),
        ("ENABLE_FAULT_INJECTION", "maybe"),
        ("LOAD_DEMO_DATA", "1"),
        ("RUST_LOG", "order_food=loud"),
        ("ENABLE_METRICS", "perhaps"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "jaeger:4318"),
        ("JAEGER_ENDPOINT", "http://"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:hunter2@jaeger:4318"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization:Bearer hunter2"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "hunter2"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "hunter2://collector"),
        ("TRACE_PROBES", "yes"),
    ] {
        let refused = Program::new("order-food").env(name, value).output();
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.starts_with(&format!("order-food: {name}: ")), "{said}");
        assert!(said.contains("example: "), "{said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{said}");
        assert!(!said.contains("hunter2"));
    }
}

/// As the specification of OpenTelemetry wants it.
#[tokio::test]
async fn unknown_values_of_opentelemetry_are_ignored_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in [
        ("OTEL_TRACES_SAMPLER", "often"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_PROPAGATORS", "b3"),
        ("OTEL_BSP_SCHEDULE_DELAY", "0"),
    ] {
        let program = Program::new("order-food").in_folder(folder.path()).env("SERVER_PORT", "0");
        let mut api = Api::started(program.env(name, value).start());
        let warned = api
            .process
            .log
            .iter()
            .any(|line| line.contains("WARN") && line.contains(&format!("{name} is ignored")));
        assert!(warned, "{:?}", api.process.log);
        api.process.signal("TERM");
        assert!(api.process.wait(Duration::from_secs(10)).success());
    }
}

/// Hosting platforms tell the port so.
#[tokio::test]
async fn the_port_of_the_platform_is_taken_where_there_is_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (platform, own) = (free(), free());
    let (platform_text, own_text) = (platform.to_string(), own.to_string());
    for (settings, expected) in [
        (vec![("PORT", &*platform_text)], platform),
        (vec![("PORT", &*platform_text), ("SERVER_PORT", &*own_text)], own),
        (vec![("PORT", "tcp://10.0.0.1:80"), ("SERVER_PORT", &*own_text)], own),
        (vec![("PORT", ""), ("SERVER_PORT", &*own_text), ("TRACE_PROBES", "")], own),
    ] {
        let program = Program::new("order-food").in_folder(folder.path());
        let program = settings.iter().fold(program, |program, (name, value)| program.env(name, value));
        let mut api = Api::started(program.start());
        assert_eq!(api.address.port(), expected, "{settings:?}");
        api.process.signal("TERM");
        assert!(api.process.wait(Duration::from_secs(10)).success());
    }
}

#[test]
fn help_lists_every_variable_and_no_value_of_a_secret() {
    let help = Program::new("order-food").env("API_KEY_PEPPER", "hunter2").args(["--help"]).output();
    let help = String::from_utf8(help.stdout).unwrap();
    for name in [
        "DATABASE_URL",
        "SERVER_PORT",
        "API_KEY_PEPPER",
        "DATA_DIR",
        "LOG_FORMAT",
        "RUST_LOG",
        "SHUTDOWN_DELAY_SECONDS",
    ] {
        assert!(help.contains(name), "{name}");
    }
    assert!(!help.contains("hunter2"));
}

#[tokio::test]
async fn a_second_instance_on_the_same_port_fails_with_a_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    let program = |port: &str| Program::new("order-food").in_folder(folder.path()).env("SERVER_PORT", port);
    let first = Api::started(program("0").start());
    let port = first.address.port().to_string();
    let second = program(&port).output();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(
        said.contains(&format!("cannot listen on 127.0.0.1:{port}")) && said.contains("SERVER_PORT"),
        "{said}"
    );
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    assert!(first.text("/livez").await.contains("ok"), "the first one goes on");
}
