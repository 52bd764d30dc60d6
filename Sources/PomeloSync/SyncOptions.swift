// SPDX-License-Identifier: MIT
public import PomeloCore

/// How values are kept and written; the keys of `sync.json` are these names, of durations with `Seconds` behind.
public struct SyncOptions: Sendable, Equatable {
    /// Within which every value is written, at a time of its own, so that writes are spread.
    public var interval = Duration.seconds(60)
    /// Values that are written together.
    public var maxBatch = 512
    /// Values that wait to be written; a further one is refused.
    public var maxPending = 1_000_000
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
        let counts = [("maxBatch", maxBatch), ("maxPending", maxPending), ("attempts", attempts)]
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
        maxBatch = try reader.int("maxBatch", in: 1...100_000) ?? maxBatch
        maxPending = try reader.int("maxPending", in: 1...100_000_000) ?? maxPending
        write = try reader.seconds("writeSeconds") ?? write
        attempts = try reader.int("attempts", in: 1...255) ?? attempts
        deadLetterLimit = try reader.int("deadLetterLimit", in: 0...10_000_000) ?? deadLetterLimit
        stop = try reader.seconds("stopSeconds") ?? stop
    }
}
