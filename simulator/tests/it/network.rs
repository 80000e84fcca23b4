//! The simulated TCP: what arrives, when, and what does not.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use hyper::rt::{Read, ReadBuf, Write};
use nanshe_conformance::environment::{Address, Environment, Stream, within};
use nanshe_simulator::world::{Direction, Losses, Network, Node};

const LATENCY: Duration = Duration::from_millis(2);

/// Plays `scene` in a world of a client and a server whose links take exactly [`LATENCY`].
fn play<T: Send + 'static>(scene: fn(Scene) -> nanshe_conformance::environment::BoxFuture<T>) -> T {
    std::thread::scope(|scope| {
        let played = scope.spawn(move || {
            let config = madsim::Config::default();
            let runtime = madsim::runtime::Runtime::with_seed_and_config(1, config);
            runtime.block_on(async move {
                let network = Network::new((LATENCY, LATENCY), 1);
                let (client, server) =
                    (Node::new(&network, "client"), Node::new(&network, "server"));
                let scene = scene(Scene {
                    network,
                    client: client.clone(),
                    server,
                });
                client.spawn(scene).await.unwrap()
            })
        });
        played.join().unwrap()
    })
}

struct Scene {
    network: Network,
    client: Node,
    server: Node,
}

impl Scene {
    fn world(&self) -> std::sync::Arc<dyn Environment> {
        self.client.environment()
    }

    async fn connect(&self, port: u16) -> io::Result<Box<dyn Stream>> {
        self.world()
            .connect(&Address {
                host: "server".to_owned(),
                port,
            })
            .await
    }

    /// A server that answers every byte with the same byte.
    fn echo(&self) {
        let listener = self.network.listen(self.server.id, 7);
        drop(self.server.spawn(async move {
            loop {
                let mut stream = listener.accept().await;
                drop(madsim::task::spawn(async move {
                    while let Ok(Some(byte)) = read(&mut stream).await {
                        if write(&mut stream, byte).await.is_err() {
                            return;
                        }
                    }
                }));
            }
        }));
    }

    async fn millis_of<T>(&self, work: impl Future<Output = T>) -> (u128, T) {
        let world = self.world();
        let before = world.now();
        let done = work.await;
        (world.now().since(before).as_millis(), done)
    }
}

async fn write(stream: &mut (impl Write + Unpin + ?Sized), byte: u8) -> io::Result<()> {
    poll_fn(|context| Pin::new(&mut *stream).poll_write(context, &[byte]))
        .await
        .map(drop)
}

/// One byte, or `None` at the end of the stream.
async fn read(stream: &mut (impl Read + Unpin + ?Sized)) -> io::Result<Option<u8>> {
    let mut bytes = [0];
    let mut buffer = ReadBuf::new(&mut bytes);
    poll_fn(|context| Pin::new(&mut *stream).poll_read(context, buffer.unfilled())).await?;
    Ok(buffer.filled().first().copied())
}

async fn round_trip(stream: &mut (impl Read + Write + Unpin + ?Sized)) -> io::Result<Option<u8>> {
    write(stream, 9).await?;
    read(stream).await
}

#[test]
fn bytes_take_exactly_the_latency_of_their_link() {
    play(|scene| {
        Box::pin(async move {
            scene.echo();
            let (millis, stream) = scene.millis_of(scene.connect(7)).await;
            assert_eq!(millis, 4);
            let mut stream = stream.unwrap();
            let (millis, byte) = scene.millis_of(round_trip(&mut *stream)).await;
            assert_eq!((millis, byte.unwrap()), (4, Some(9)));
        })
    });
}

#[test]
fn nobody_listening_is_a_refusal_after_a_round_trip() {
    play(|scene| {
        Box::pin(async move {
            let (millis, refused) = scene.millis_of(scene.connect(7)).await;
            let error = refused.err().unwrap();
            assert_eq!(
                (millis, error.kind()),
                (4, io::ErrorKind::ConnectionRefused)
            );
        })
    });
}

#[test]
fn partition_holds_back_data_until_it_heals() {
    play(|scene| {
        Box::pin(async move {
            scene.echo();
            let mut stream = scene.connect(7).await.unwrap();
            scene.network.isolate("client", Direction::Both);
            write(&mut *stream, 3).await.unwrap();
            let (world, patience) = (scene.world(), Duration::from_secs(30));
            assert!(
                within(&*world, patience, read(&mut *stream))
                    .await
                    .is_none()
            );
            assert!(
                within(&*world, patience, scene.connect(7)).await.is_none(),
                "it hangs"
            );
            scene.network.rejoin("client", Direction::Both);
            let (millis, byte) = scene.millis_of(read(&mut *stream)).await;
            assert_eq!((millis, byte.unwrap()), (4, Some(3)));
            assert!(scene.connect(7).await.is_ok());
        })
    });
}

#[test]
fn partition_holds_back_the_end_of_the_stream_too() {
    play(|scene| {
        Box::pin(async move {
            scene.echo();
            let mut stream = scene.connect(7).await.unwrap();
            assert_eq!(round_trip(&mut *stream).await.unwrap(), Some(9));
            scene.network.isolate("server", Direction::Both);
            scene.server.kill();
            let world = scene.world();
            let quiet = within(&*world, Duration::from_secs(9), read(&mut *stream)).await;
            assert!(quiet.is_none(), "the end passed through a partition");
            scene.network.rejoin("server", Direction::Both);
            let (millis, end) = scene.millis_of(read(&mut *stream)).await;
            assert_eq!((millis, end.unwrap()), (2, None));
        })
    });
}

#[test]
fn connection_that_a_partition_catches_on_its_way_arrives_after_the_heal() {
    play(|scene| {
        Box::pin(async move {
            scene.echo();
            let (world, network) = (scene.world(), scene.network.clone());
            let sleeper = std::sync::Arc::clone(&world);
            world.spawn(Box::pin(async move {
                sleeper.sleep(LATENCY / 2).await;
                network.isolate("server", Direction::Both);
                sleeper.sleep(Duration::from_secs(5)).await;
                network.rejoin("server", Direction::Both);
            }));
            let (millis, stream) = scene.millis_of(scene.connect(7)).await;
            assert!((5_000..5_010).contains(&millis), "{millis}");
            assert_eq!(round_trip(&mut *stream.unwrap()).await.unwrap(), Some(9));
        })
    });
}

#[test]
fn link_is_free_when_every_partition_that_holds_it_has_ended() {
    play(|scene| {
        Box::pin(async move {
            scene.echo();
            let mut stream = scene.connect(7).await.unwrap();
            for name in ["server", "client", "server"] {
                scene.network.isolate(name, Direction::Both);
            }
            write(&mut *stream, 3).await.unwrap();
            for name in ["client", "server"] {
                scene.network.rejoin(name, Direction::Both);
                let world = scene.world();
                let quiet = within(&*world, Duration::from_secs(5), read(&mut *stream)).await;
                assert!(
                    quiet.is_none(),
                    "{name} joined, but another partition held the link"
                );
            }
            scene.network.rejoin("server", Direction::Both);
            assert_eq!(read(&mut *stream).await.unwrap(), Some(3));
        })
    });
}

#[test]
fn writer_that_waits_for_room_learns_that_nobody_reads_any_more() {
    play(|scene| {
        Box::pin(async move {
            let listener = scene.network.listen(scene.server.id, 7);
            let mut stream = scene.connect(7).await.unwrap();
            let accepted = listener.accept().await;
            let world = scene.world();
            let sleeper = std::sync::Arc::clone(&world);
            scene.server.spawn(async move {
                sleeper.sleep(Duration::from_secs(3)).await;
                drop(accepted);
            });
            let bytes = vec![0; 300 * 1024];
            let fill = async {
                loop {
                    poll_fn(|context| Pin::new(&mut *stream).poll_write(context, &bytes)).await?;
                }
            };
            let ended: Option<io::Result<()>> =
                within(&*world, Duration::from_secs(60), fill).await;
            let error = ended.expect("the writer waits for ever").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        })
    });
}

#[test]
fn killed_server_closes_its_connections_and_refuses_new_ones() {
    play(|scene| {
        Box::pin(async move {
            scene.echo();
            let mut stream = scene.connect(7).await.unwrap();
            assert_eq!(round_trip(&mut *stream).await.unwrap(), Some(9));
            scene.server.kill();
            assert_eq!(read(&mut *stream).await.unwrap(), None);
            let error = scene.connect(7).await.err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        })
    });
}

#[test]
fn reset_strikes_a_request_before_a_byte_of_it_is_accepted() {
    play(|scene| {
        Box::pin(async move {
            scene.echo();
            let mut stream = scene.connect(7).await.unwrap();
            scene.network.set_losses(Losses {
                requests_reset: 1.0,
                ..Losses::default()
            });
            let error = write(&mut *stream, 1).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            assert_eq!(scene.network.struck(), 1);
        })
    });
}

#[test]
fn reset_strikes_an_answer_in_its_place() {
    play(|scene| {
        Box::pin(async move {
            scene.echo();
            let mut stream = scene.connect(7).await.unwrap();
            scene.network.set_losses(Losses {
                answers_reset: 1.0,
                ..Losses::default()
            });
            write(&mut *stream, 1).await.unwrap();
            let (millis, answer) = scene.millis_of(read(&mut *stream)).await;
            assert_eq!(
                (millis, answer.unwrap_err().kind()),
                (4, io::ErrorKind::ConnectionReset)
            );
        })
    });
}

#[test]
fn swallowed_request_is_never_heard_of() {
    play(|scene| {
        Box::pin(hangs(
            scene,
            Losses {
                requests_swallowed: 1.0,
                ..Losses::default()
            },
        ))
    });
}

#[test]
fn swallowed_answer_is_never_heard_of() {
    play(|scene| {
        Box::pin(hangs(
            scene,
            Losses {
                answers_swallowed: 1.0,
                ..Losses::default()
            },
        ))
    });
}

async fn hangs(scene: Scene, losses: Losses) {
    scene.echo();
    let mut stream = scene.connect(7).await.unwrap();
    scene.network.set_losses(losses);
    write(&mut *stream, 1).await.unwrap();
    let world = scene.world();
    assert!(
        within(&*world, Duration::from_secs(60), read(&mut *stream))
            .await
            .is_none()
    );
}
