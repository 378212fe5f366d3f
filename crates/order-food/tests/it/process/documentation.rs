//! The examples in `docs/ordering.md` do what they say.

use std::process::Command;

use test_database::Program;

use super::Api;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_about_ordering_are_true() {
    let folder = tempfile::tempdir().unwrap();
    let api =
        Api::started(Program::new("order-food").in_folder(folder.path()).env("SERVER_PORT", "0").start());
    let text = include_str!("../../../../../docs/ordering.md");
    let mut examples = 0;
    for block in text.split("```console\n").skip(1) {
        let block = block.split("```").next().unwrap();
        for example in block.split("$ ").skip(1) {
            let (command, expected) = example.split_once('\n').unwrap();
            let command = command.replace("localhost:8080", &api.address.to_string());
            let output =
                Command::new("sh").args(["-c", &command]).current_dir(folder.path()).output().unwrap();
            assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
            let said = String::from_utf8(output.stdout).unwrap();
            assert_eq!(normalized(&said), expected.trim_end(), "{command}");
            examples += 1;
        }
    }
    assert_eq!(examples, 9);
}

/// Without what differs from run to run.
fn normalized(said: &str) -> String {
    let mut text = said.trim_end().replace('\r', "");
    for (member, stand_in) in
        [("\"id\":\"01", "ID"), ("\"createdAt\":\"", "TIME"), ("\"traceId\":\"", "TRACE")]
    {
        if let Some(at) = text.find(member) {
            let start = at + member.find(":\"").unwrap() + 2;
            let end = start + text[start..].find('"').unwrap();
            text.replace_range(start..end, stand_in);
        }
    }
    text
}
