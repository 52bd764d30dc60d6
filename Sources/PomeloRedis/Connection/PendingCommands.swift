// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop

/// How much some commands are.
struct CommandLoad {
    var count: Int
    var bytes: Int

    init(count: Int, bytes: Int) {
        self.count = count
        self.bytes = bytes
    }

    init(_ commands: ArraySlice<RedisCommand>) {
        let span = commands.span
        var bytes = 0
        for index in span.indices { bytes += span[index].size }
        self.init(count: commands.count, bytes: bytes)
    }

    static func + (one: CommandLoad, other: CommandLoad) -> CommandLoad {
        CommandLoad(count: one.count + other.count, bytes: one.bytes + other.bytes)
    }

    static func - (one: CommandLoad, other: CommandLoad) -> CommandLoad {
        CommandLoad(count: max(0, one.count - other.count), bytes: max(0, one.bytes - other.bytes))
    }

    var half: CommandLoad { CommandLoad(count: count / 2, bytes: bytes / 2) }

    func fits(in bound: CommandLoad) -> Bool { count <= bound.count && bytes <= bound.bytes }
}

/// Who waits for what becomes of commands.
typealias RedisWaiter = Waiter<PendingBatch.Word>

extension RedisWaiter {
    func fail(_ error: RedisError) { resume(.ended(.failure(error))) }
}

/// Commands that were sent together and whose caller waits for all replies.
@Loop final class PendingBatch {
    typealias Outcome = Result<[RedisReply], RedisError>

    /// What the caller is told first.
    enum Word {
        case ended(Outcome)
        /// There is no room for it yet.
        case waits(WaitingBatch)
    }

    let load: CommandLoad
    let deadline: UInt64
    /// How many replies the connection had seen when this was sent.
    fileprivate let repliesBefore: Int
    private var replies: [RedisReply] = []
    fileprivate private(set) var missing: Int
    private var waiter: RedisWaiter?
    /// Whether it has no outcome yet.
    fileprivate var isWaiting: Bool { waiter != nil }

    init(_ load: CommandLoad, deadline: UInt64, repliesBefore: Int, waiter: RedisWaiter) {
        self.load = load
        self.deadline = deadline
        self.repliesBefore = repliesBefore
        self.waiter = waiter
        missing = load.count
        replies.reserveCapacity(load.count)
    }

    deinit { if waiter != nil { preconditionFailure("a caller of commands was left waiting") } }

    /// Takes what there is of its replies; those that come too late are dropped.
    fileprivate func take(from reader: ReplyReader, _ lostServer: inout String?) -> ReplyReader.Taken {
        let before = replies.count
        let taken = reader.take(missing, into: &replies)
        missing -= taken.count
        if taken.hasErrors { lostServer = replies[before...].lazy.compactMap(\.lostServer).first }
        if !isWaiting { replies = [] }
        return taken
    }

    fileprivate func take(_ reply: RedisReply, _ lostServer: inout String?) {
        missing -= 1
        lostServer = reply.lostServer
        if isWaiting { replies.append(reply) }
    }

    fileprivate func completeWithReplies() { complete(.success(replies)) }

    /// The first outcome counts; later ones find nobody.
    func complete(_ outcome: Outcome) {
        let told = waiter
        waiter = nil
        replies = []
        told?.resume(.ended(outcome))
    }
}

extension RedisReply {
    /// The error of a server that has become a replica, or has lost its data.
    fileprivate var lostServer: String? {
        errorText.flatMap { RedisError.lostServer.contains(Text(RedisError.code(of: $0))) ? $0 : nil }
    }
}

/// Batches in the order they were sent, which is the order of their replies and of their deadlines.
///
/// An object, as `WaitingLine`: parts of a connection that change in place would be looked at for overlap at each use.
@Loop final class PendingCommands {
    private var batches: [PendingBatch] = []
    private var head = 0
    /// Commands without a reply, those whose caller has given up included.
    private(set) var count = 0
    /// Bytes of all batches that are not wholly answered.
    private(set) var bytes = 0
    /// Replies seen so far on this connection.
    private(set) var repliesSeen = 0

    nonisolated init() {}

    func append(_ batch: PendingBatch) {
        batches.append(batch)
        count += batch.load.count
        bytes += batch.load.bytes
    }

    /// What became of replies.
    struct Received {
        /// The error of a server that has become another.
        var lostServer: String?
        /// A reply that nobody waits for.
        var unasked: RedisReply?
        /// What follows can never become a reply.
        var isMalformed = false
        /// The batch has all of them, and there may be some for the next.
        var isMore = false
    }

    /// Gives whole replies to the oldest batch.
    func receive(from reader: ReplyReader) -> Received {
        var received = Received()
        guard head < batches.count else {
            var unasked: [RedisReply] = []
            received.isMalformed = reader.take(1, into: &unasked).isMalformed
            received.unasked = unasked.first
            return received
        }
        let batch = batches[head]
        let taken = batch.take(from: reader, &received.lostServer)
        received.isMalformed = taken.isMalformed
        received.isMore = note(taken.count, in: batch)
        return received
    }

    /// Gives a reply to the oldest command.
    func receive(_ reply: RedisReply) -> Received {
        guard head < batches.count else { return Received(unasked: reply) }
        var received = Received()
        batches[head].take(reply, &received.lostServer)
        received.isMore = note(1, in: batches[head])
        return received
    }

    /// Whether the batch has all of its replies.
    private func note(_ replies: Int, in batch: PendingBatch) -> Bool {
        count -= replies
        repliesSeen += replies
        guard batch.missing == 0 else { return false }
        bytes -= batch.load.bytes
        removeFirst()
        batch.completeWithReplies()
        return true
    }

    private func removeFirst() {
        head += 1
        if head == batches.count {
            batches.removeAll(keepingCapacity: batches.capacity <= 1024)
            head = 0
        } else if head >= 256, head * 2 >= batches.count {
            batches.removeFirst(head)
            head = 0
        }
    }

    /// The deadline of the oldest batch that somebody waits for.
    var nextDeadline: UInt64? { batches[head...].first { $0.isWaiting }?.deadline }

    /// Fails what is overdue; returns true when the server has answered nothing since the oldest of it was sent.
    func expire(now: UInt64, _ error: RedisError) -> Bool {
        var silent = false
        for batch in batches[head...] {
            if batch.deadline > now { break }
            guard batch.isWaiting else { continue }
            if batch.repliesBefore == repliesSeen { silent = true }
            batch.complete(.failure(error))
        }
        return silent
    }

    /// Fails everything; the next connection starts with an empty queue.
    func failAll(_ error: RedisError) {
        let failed = batches[head...]
        batches = []
        (head, count, bytes, repliesSeen) = (0, 0, 0, 0)
        for batch in failed { batch.complete(.failure(error)) }
    }
}
