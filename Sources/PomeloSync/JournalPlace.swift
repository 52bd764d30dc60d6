// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore

/// One journal: whose values it has, and who alone writes to it.
///
/// ```
/// pomelo:{sync:<cluster>/<server>}:j:<owner>:<instance>:<number>   hash, a field for each value that no sink has
///                                                                  confirmed; or "fenced": it was claimed
/// pomelo:{sync:<cluster>/<server>}:dead                            hash, a field for each dead letter of the server
/// pomelo:{sync:<cluster>/<server>}:clock                           the last version of the server
/// pomelo:{<cluster>}:journals:<type>                               set of the journals there are of a server type,
///                                                                  each named before it is written
/// ```
///
/// All but the set share a slot of Redis Cluster, so that a claim is one transaction. A journal that is claimed gets
/// another name: each name has one writer for ever.
struct JournalPlace: Hashable, Sendable {
    /// Whose values it had first.
    let server: ServerID
    /// Who writes to it.
    let owner: ServerID
    let instance: InstanceID
    /// The owner's journals are numbered.
    let number: UInt64

    init(server: ServerID, owner: ServerID, instance: InstanceID, number: UInt64) {
        self.server = server
        self.owner = owner
        self.instance = instance
        self.number = number
    }

    /// As the set of journals names it; nil for what is no such name.
    init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 4, let number = UInt64(parts[3]) else { return nil }
        self.init(
            server: ServerID(parts[0]), owner: ServerID(parts[1]), instance: InstanceID(parts[2]), number: number)
    }

    var text: String { "\(server):\(owner):\(instance):\(number)" }
}

/// Where the journals of a cluster are.
struct JournalKeys: Sendable {
    let cluster: String
    let type: ServerType

    func journal(_ place: JournalPlace) -> String {
        "\(slot(of: place.server)):j:\(place.owner):\(place.instance):\(place.number)"
    }
    func dead(_ server: ServerID) -> String { "\(slot(of: server)):dead" }
    func clock(_ server: ServerID) -> String { "\(slot(of: server)):clock" }
    var journals: String { "pomelo:{\(cluster)}:journals:\(type)" }

    private func slot(of server: ServerID) -> String { "pomelo:{sync:\(cluster)/\(server)}" }
}
