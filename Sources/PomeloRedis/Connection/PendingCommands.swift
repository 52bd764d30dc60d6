// SPDX-License-Identifier: MIT
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

/// Commands that were sent together and whose caller waits for all replies.
@Loop final class PendingBatch {
    typealias Outcome = Result<[RedisReply], RedisError>

    let load: CommandLoad
    let deadline: UInt64
    /// How many replies the connection had seen when this was sent.
    fileprivate let repliesBefore: Int
    fileprivate var replies: [RedisReply] = []
    fileprivate var received = 0
    private var waiter: CheckedContinuation<Outcome, Never>?
    /// Whether it has no outcome yet; asked for each reply, while the waiter itself is a reference to count.
    fileprivate private(set) var isWaiting = true

    init(_ load: CommandLoad, deadline: UInt64, repliesBefore: Int, waiter: CheckedContinuation<Outcome, Never>) {
        self.load = load
        self.deadline = deadline
        self.repliesBefore = repliesBefore
        self.waiter = waiter
        replies.reserveCapacity(load.count)
    }

    /// The first outcome counts; later ones find nobody.
    func complete(_ outcome: Outcome) {
        isWaiting = false
        waiter?.resume(returning: outcome)
        waiter = nil
        replies = []
    }
}

/// Batches in the order they were sent, which is the order of their replies and of their deadlines.
@Loop struct PendingCommands {
    private var batches: [PendingBatch] = []
    private var head = 0
    /// Commands without a reply, those whose caller has given up included.
    private(set) var count = 0
    /// Bytes of all batches that are not wholly answered.
    private(set) var bytes = 0
    /// Replies seen so far on this connection.
    private(set) var repliesSeen = 0

    nonisolated init() {}

    mutating func append(_ batch: PendingBatch) {
        batches.append(batch)
        count += batch.load.count
        bytes += batch.load.bytes
    }

    /// Gives a reply to the oldest command; returns false when there is none.
    mutating func receive(_ reply: consuming RedisReply) -> Bool {
        guard head < batches.count else { return false }
        let batch = batches[head]
        count -= 1
        repliesSeen += 1
        batch.received += 1
        if batch.isWaiting { batch.replies.append(reply) }
        if batch.received == batch.load.count {
            bytes -= batch.load.bytes
            removeFirst()
            batch.complete(.success(batch.replies))
        }
        return true
    }

    private mutating func removeFirst() {
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
    mutating func expire(now: UInt64, _ error: RedisError) -> Bool {
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
    mutating func failAll(_ error: RedisError) {
        let failed = batches[head...]
        self = PendingCommands()
        for batch in failed { batch.complete(.failure(error)) }
    }
}
