// SPDX-License-Identifier: MIT
import PomeloBytes

/// Long replies on their way out, one piece of each in turn.
struct ChunkQueue {
    struct Chunk: Equatable {
        var id: UInt32
        var last: Bool
        var bytes: Bytes
    }

    private struct Reply {
        var id: UInt32
        var payload: Bytes
        var sent = 0
    }

    private var replies: [Reply] = []
    private var turn = 0
    /// Not yet handed out.
    private(set) var bytes = 0

    var isEmpty: Bool { replies.isEmpty }

    mutating func append(_ id: UInt32, _ payload: Bytes) {
        replies.append(Reply(id: id, payload: payload))
        bytes += payload.count
    }

    /// The next piece, of the reply whose turn it is.
    mutating func next(upTo size: Int) -> Chunk? {
        guard !replies.isEmpty else { return nil }
        if turn >= replies.count { turn = 0 }
        let reply = replies[turn]
        let end = min(reply.sent + size, reply.payload.count)
        let last = end == reply.payload.count
        bytes -= end - reply.sent
        if last {
            replies.remove(at: turn)
        } else {
            replies[turn].sent = end
            turn += 1
        }
        return Chunk(id: reply.id, last: last, bytes: Bytes(reply.payload[reply.sent..<end]))
    }

    /// Forgets a reply that nobody waits for any more.
    mutating func remove(_ id: UInt32) {
        guard let index = replies.firstIndex(where: { $0.id == id }) else { return }
        bytes -= replies[index].payload.count - replies[index].sent
        replies.remove(at: index)
        if index < turn { turn -= 1 }
    }
}
