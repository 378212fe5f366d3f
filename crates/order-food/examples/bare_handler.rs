//! Bench only: what actix-web does by itself. Answers every request with the bytes of a file.

use actix_web::http::header::ContentType;
use actix_web::{App, HttpResponse, HttpServer, web};

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(file)) = (arguments.next(), arguments.next()) else {
        return Err(std::io::Error::other("usage: bare_handler ADDRESS FILE"));
    };
    let body = web::Bytes::from(std::fs::read(file)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        HttpServer::new(move || {
            let body = body.clone();
            App::new().default_service(web::to(move || {
                let body = body.clone();
                async move { HttpResponse::Ok().insert_header(ContentType::json()).body(body) }
            }))
        })
        .workers(std::thread::available_parallelism().map_or(1, usize::from))
        .bind(address)?
        .run()
        .await
    })
}
