//! Gateways: the smallest part of the Messaging API v2 (queues, messages, claims) over brokers that are
//! not Zaqar, so that the suite and the checkers are tried on peers that work in other ways.
//!
//! `front` is HTTP and JSON and knows no broker; `broker` is what it asks of one; `postgres` and
//! `beanstalkd` translate that into statements and commands; `server` is the socket. Nothing here is
//! shared with the suite or the reference: a gateway that read its requests with the suite's own code
//! would agree with it about a mistake. No queue, message or lease is kept here that the broker keeps.

pub mod beanstalkd;
pub mod broker;
pub mod front;
pub mod postgres;
pub mod server;
