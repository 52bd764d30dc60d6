// SPDX-License-Identifier: MIT
public import PomeloCore

/// What a value survives once `exec` has acknowledged it.
///
/// With a journal a value is written at least once, when any of the servers of its type lives or comes back. None
/// covers a fail-over of Redis to a replica that did not have it yet.
public enum SyncPolicy: String, Sendable, CaseIterable {
    /// Nothing but the process's own stop: acknowledged when noted in memory.
    case memoryOnly
    /// Any single failure: the process's, at any moment, or that of Redis. Acknowledged when the journal has it.
    ///
    /// What a Redis loses that dies is written anew by the process, which has it in memory; when both die together,
    /// what the `appendfsync` of Redis had not brought to its disk is lost: with `everysec` a second.
    case everyBatch
    /// Both at once: as `everyBatch`, with a Redis that writes each reply to disk before it sends it; checked at the
    /// start.
    case always
}

/// What `exec` does while the journal cannot be written.
public enum RedisAway: String, Sendable, CaseIterable {
    /// Waits until it can, for as long as that takes.
    case wait
    /// Throws `SyncError.notJournaled`: 1.5 s after the journal was asked, at once when Redis is known to be away.
    case fail
    /// Acknowledges from memory: until Redis is back, values survive nothing.
    case memory
}

/// What `exec` does when as much waits as may.
public enum WhenFull: String, Sendable, CaseIterable {
    /// Waits until there is room; a call that is not awaited throws.
    case wait
    /// Throws `SyncError.overloaded`.
    case fail
}

/// How values are kept and written; the keys of `sync.json` are these names, of durations with `Seconds` behind.
public struct SyncOptions: Sendable, Equatable {
    /// Within which every value is written, at a time of its own, so that writes are spread.
    public var interval = Duration.seconds(60)
    /// What a value survives; nil: `everyBatch` where `Sync` has a Redis, else `memoryOnly`.
    public var policy: SyncPolicy?
    /// What becomes of `exec` while Redis is away.
    public var redisAway = RedisAway.fail
    /// Values that are written together.
    public var maxBatch = 512
    /// Values that wait to be written; a further one is refused.
    public var maxPending = 1_000_000
    /// Bytes of values that wait, as they are in the journal: what one process may have in Redis.
    ///
    /// Without a journal they are not counted; nor is what is replayed of other journals, of which as much may be here.
    public var maxPendingBytes = 256 << 20
    /// What becomes of `exec` beyond these bounds.
    public var whenFull = WhenFull.fail
    /// Time a sink has for one batch; what it has not confirmed by then is a dead letter.
    public var write = Duration.seconds(30)
    /// Attempts after which a value becomes a dead letter.
    public var attempts = 8
    /// Dead letters that are kept; with so many, values that fail are tried again and again instead.
    public var deadLetterLimit = 10_000
    /// Time that a stop has to write what is left.
    public var stop = Duration.seconds(30)

    /// The defaults; the interval is that of pomelo-sync.
    public init() {}
}

extension SyncOptions {
    /// - Throws: `PomeloError` `.configuration`: with such a value nothing would ever be written.
    func check() throws {
        let counts = [
            ("maxBatch", maxBatch), ("maxPending", maxPending), ("attempts", attempts),
            ("maxPendingBytes", maxPendingBytes),
        ]
        let times = [("interval", interval), ("write", write)]
        let wrong = counts.first { $0.1 < 1 }?.0 ?? times.first { $0.1 <= .zero }?.0
        if let wrong { throw PomeloError(.configuration, "sync: \(wrong) must be more than 0") }
    }
}

extension SyncOptions: FileOptions {
    /// `sync.json`.
    public static var fileName: String { "sync" }

    /// Reads the keys, all of them optional.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file and the key.
    public mutating func read(_ reader: inout OptionReader) throws {
        interval = try reader.seconds("intervalSeconds") ?? interval
        policy = try reader.choice("policy") ?? policy
        redisAway = try reader.choice("redisAway") ?? redisAway
        whenFull = try reader.choice("whenFull") ?? whenFull
        maxBatch = try reader.int("maxBatch", in: 1...100_000) ?? maxBatch
        maxPending = try reader.int("maxPending", in: 1...100_000_000) ?? maxPending
        maxPendingBytes = try reader.int("maxPendingBytes", in: 1...(1 << 40)) ?? maxPendingBytes
        write = try reader.seconds("writeSeconds") ?? write
        attempts = try reader.int("attempts", in: 1...255) ?? attempts
        deadLetterLimit = try reader.int("deadLetterLimit", in: 0...10_000_000) ?? deadLetterLimit
        stop = try reader.seconds("stopSeconds") ?? stop
    }
}
