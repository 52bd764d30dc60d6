// SPDX-License-Identifier: MIT
import Logging
public import PomeloBytes
import PomeloLoop

/// A value that a sink does not take.
public struct DeadLetter: Sendable, Hashable {
    /// The name of its key.
    public let key: Text
    /// What it is the value of; nil for a value without an id.
    public let id: Text?
    /// As its key encodes it; nil when it cannot be encoded.
    public let value: Bytes?
    /// When it came to be, and on which server.
    public let version: SyncVersion
    /// Why it is here.
    public let reason: String

    init(key: Text, id: Text?, value: Bytes?, version: SyncVersion, _ reason: String) {
        self.key = key
        self.id = id
        self.value = value
        self.version = version
        self.reason = reason
    }
}

/// Values that were given up, the oldest first, until somebody looks after them.
@Loop final class DeadLetters {
    /// Of all values together; one that is longer than this finds room only when there is no other.
    private static let maxBytes = 64 << 20
    private let limit: Int
    private let log: Logger
    /// The application's own.
    var onLetter: (@Loop (DeadLetter) -> Void)?
    private(set) var letters: [UInt64: DeadLetter] = [:]
    /// Those that are tried again, until a sink has them or they are among the others once more.
    private(set) var retried: [UInt64: DeadLetter] = [:]
    /// Both by what they are of, and when.
    private var numbers: [Bytes: UInt64] = [:]
    private var retriedFields: [Bytes: Int] = [:]
    private var bytes = 0
    private var last: UInt64 = 0

    init(limit: Int, _ log: Logger) {
        self.limit = limit
        self.log = log
    }

    /// With none, values are tried on.
    var hasRoom: Bool { letters.count < limit && bytes < Self.maxBytes }

    func add(_ letter: DeadLetter) {
        keep(letter)
        let id = letter.id.map { "\($0)".forLog } ?? "-"
        log.error(
            "a value is given up",
            metadata: ["sync.key": "\(letter.key)", "sync.id": "\(id)", "sync.reason": "\(letter.reason)"])
        onLetter?(letter)
    }

    /// Those of an earlier start.
    func load(_ earlier: [DeadLetter]) {
        for letter in earlier.sorted(by: { $0.version < $1.version }) where !has(letter) { keep(letter) }
    }

    private func keep(_ letter: DeadLetter) {
        let field = JournalRecord.field(of: letter)
        // One that a journal has brought back although it was given up stands for both.
        if let number = numbers[field] { _ = remove(number) }
        last += 1
        letters[last] = letter
        numbers[field] = last
        bytes += letter.value?.count ?? 0
    }

    /// Whether it is among them, for whatever reason.
    func has(_ letter: DeadLetter) -> Bool {
        let field = JournalRecord.field(of: letter)
        return numbers[field] != nil || retriedFields[field] != nil
    }

    /// What is to survive.
    var all: some Sequence<DeadLetter> { Array(letters.values) + Array(retried.values) }

    func remove(_ number: UInt64) -> DeadLetter? {
        guard let letter = letters.removeValue(forKey: number) else { return nil }
        bytes -= letter.value?.count ?? 0
        numbers[JournalRecord.field(of: letter)] = nil
        return letter
    }

    /// One that is tried again.
    func retry(_ number: UInt64) {
        guard let letter = remove(number) else { return }
        retried[number] = letter
        retriedFields[JournalRecord.field(of: letter), default: 0] += 1
    }

    /// One that was tried again is not any more.
    func endRetry(_ number: UInt64) -> DeadLetter? {
        guard let letter = retried.removeValue(forKey: number) else { return nil }
        let field = JournalRecord.field(of: letter)
        let left = (retriedFields[field] ?? 1) - 1
        retriedFields[field] = left > 0 ? left : nil
        return letter
    }
}

/// Where dead letters that are tried again come back from: they stay what they are until a sink has them.
@Loop final class RetriedLetters: ReplayOrigin {
    private let owner: SyncOwner

    init(_ owner: SyncOwner) { self.owner = owner }

    func origin(_ number: UInt64, _ value: Bytes) -> Replay.Origin {
        Replay.Origin(origin: self, field: Bytes(reserving: 8) { $0.putBigEndian(number) }, bytes: value.count)
    }

    func written(_ origin: Replay.Origin) {
        guard let letter = owner.letters.endRetry(JournalRecord.number(of: origin.field)) else { return }
        // It may be a dead letter once more, or be tried once more.
        if owner.letters.has(letter) { return }
        owner.journal?.drop(letter)
    }
}
