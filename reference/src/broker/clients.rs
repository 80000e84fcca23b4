//! Who posted what: clients by number, so that a message names its client in four bytes.
//!
//! Owns the numbers. A client has one for as long as a message of its is there.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::message::ClientId;
use super::slab::{Slab, Slot};

/// The number of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ClientKey(Slot);

#[derive(Serialize, Deserialize)]
struct Client {
    id: ClientId,
    messages: usize,
}

/// The clients of all messages.
pub(crate) struct Clients {
    keys: BTreeMap<ClientId, ClientKey>,
    clients: Slab<Client>,
}

impl Clients {
    pub(crate) const fn new() -> Self {
        Self {
            keys: BTreeMap::new(),
            clients: Slab::new(),
        }
    }

    /// The number of the client, to whom `messages` more belong from now on.
    pub(crate) fn hold(&mut self, id: &ClientId, messages: usize) -> ClientKey {
        let clients = &mut self.clients;
        let key = *self.keys.entry(id.clone()).or_insert_with_key(|id| {
            let id = id.clone();
            ClientKey(clients.insert_with(|_| Client { id, messages: 0 }))
        });
        clients[key.0].messages += messages;
        key
    }

    /// One message less belongs to the client.
    pub(crate) fn release(&mut self, key: ClientKey) {
        let client = &mut self.clients[key.0];
        client.messages -= 1;
        if client.messages == 0 {
            let client = self.clients.remove(key.0);
            self.keys.remove(&client.id);
        }
    }

    /// The number of a client, if any message belongs to it.
    pub(crate) fn find(&self, id: &ClientId) -> Option<ClientKey> {
        self.keys.get(id).copied()
    }

    /// The messages of all clients together.
    pub(crate) fn messages(&self) -> usize {
        self.keys
            .values()
            .map(|key| self.clients[key.0].messages)
            .sum()
    }
}

impl Serialize for Clients {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.clients.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Clients {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let clients = Slab::<Client>::deserialize(deserializer)?;
        let keys = clients.iter();
        let keys = keys.map(|(slot, client)| (client.id.clone(), ClientKey(slot)));
        Ok(Self {
            keys: keys.collect(),
            clients,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Uuid;

    #[test]
    fn a_client_has_a_number_for_as_long_as_it_has_messages() {
        let mut clients = Clients::new();
        let [first, second] = [1, 2].map(|byte| ClientId::Uuid(Uuid::from_bytes([byte; 16])));
        let key = clients.hold(&first, 2);
        assert_eq!(clients.hold(&first, 1), key);
        assert_ne!(clients.hold(&second, 1), key);
        assert_eq!((clients.find(&first), clients.messages()), (Some(key), 4));
        for _ in 0..3 {
            clients.release(key);
        }
        assert_eq!((clients.find(&first), clients.messages()), (None, 1));
    }
}
