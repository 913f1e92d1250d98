//! BottleCRM as it was recorded, on 127.0.0.1:18300: what `examples/bottlecrm/lockkeeper.toml` stands in front of. [edge]
#![expect(clippy::disallowed_methods, reason = "edge: the listener of the recorded CRM")]

use std::path::Path;

use lockkeeper::testkit::replay::Replay;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bottlecrm");
    let listener = TcpListener::bind("127.0.0.1:18300").await?;
    Replay::load(&folder).serve(listener).await;
    Ok(())
}
