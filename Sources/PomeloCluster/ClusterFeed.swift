// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloRedis

//  One entry of the stream:   <position>  e <epoch>  op put     id <server>  inst <instance>  entry <text>
//                             <position>  e <epoch>  op remove  id <server>  inst <instance>  reason left|expired

/// Follows the stream of changes: entries in, changes or "cannot follow" out.
///
/// Each change has the epoch before it plus one. What was seen is ignored, however often and in whatever order it
/// comes; a hole means that the whole registry must be read again.
struct ClusterFeed {
    struct Entry {
        var position: String
        var epoch: Int
        /// Nil when this version does not know the operation or cannot read the entry.
        var change: Change?
    }

    enum Change: Equatable {
        case put(ServerInfo)
        case removed(ServerID, InstanceID)
    }

    enum Outcome: Equatable {
        case changes([Change])
        case gap
    }

    private(set) var epoch: Int
    private(set) var position: String
    /// Which registry it is; empty when nobody has joined it yet.
    var born: String

    /// Begins behind a snapshot of the registry; `position` is "0-0" when the stream was empty.
    init(epoch: Int, position: String, born: String = "") {
        self.epoch = epoch
        self.position = position
        self.born = born
    }

    /// Takes what was read from `position` on, the entry there included.
    mutating func take(_ entries: [Entry]) -> Outcome {
        // The entry seen last is no longer there: trimmed, or another history.
        if position != "0-0", entries.first?.position != position { return .gap }
        var changes: [Change] = []
        for entry in position == "0-0" ? entries[...] : entries.dropFirst() where entry.epoch > epoch {
            guard entry.epoch == epoch &+ 1, let change = entry.change else { return .gap }
            epoch = entry.epoch
            changes.append(change)
        }
        if let last = entries.last { position = last.position }
        return .changes(changes)
    }
}

extension ClusterFeed.Entry {
    /// Reads an element of an XRANGE reply; a malformed one gets an epoch that nobody can follow.
    init(_ reply: RedisReply) {
        let parts = reply.array ?? []
        position = parts.first?.string ?? ""
        let fields = parts.last?.dictionary ?? [:]
        epoch = fields["e"].flatMap(Int.init) ?? .max
        let id = ServerID(fields["id"] ?? "")
        switch fields["op"] {
        case "put": change = RegistryEntry.decode(fields["entry"] ?? "", of: id).map(ClusterFeed.Change.put)
        case "remove": change = .removed(id, InstanceID(fields["inst"] ?? ""))
        default: change = nil
        }
    }
}
