// SPDX-License-Identifier: MIT
import PomeloRedis

/// The id of a stream entry.
struct FakeStreamID: Comparable {
    var milliseconds: UInt64
    var sequence: UInt64

    static let zero = FakeStreamID(milliseconds: 0, sequence: 0)
    static let last = FakeStreamID(milliseconds: .max, sequence: .max)

    static func < (a: FakeStreamID, b: FakeStreamID) -> Bool {
        a.milliseconds != b.milliseconds ? a.milliseconds < b.milliseconds : a.sequence < b.sequence
    }

    var text: String { "\(milliseconds)-\(sequence)" }

    var next: FakeStreamID {
        sequence == .max
            ? FakeStreamID(milliseconds: milliseconds &+ 1, sequence: 0)
            : FakeStreamID(milliseconds: milliseconds, sequence: sequence + 1)
    }

    var previous: FakeStreamID {
        sequence == 0
            ? FakeStreamID(milliseconds: milliseconds &- 1, sequence: .max)
            : FakeStreamID(milliseconds: milliseconds, sequence: sequence - 1)
    }

    /// `ms-seq`, or `ms` with the given sequence.
    init(_ text: String, sequence missing: UInt64) throws(FakeFailure) {
        let parts = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard let milliseconds = UInt64(parts[0]) else { throw Self.invalid }
        self.milliseconds = milliseconds
        if parts.count == 1 {
            sequence = missing
        } else {
            guard let sequence = UInt64(parts[1]) else { throw Self.invalid }
            self.sequence = sequence
        }
    }

    init(milliseconds: UInt64, sequence: UInt64) {
        self.milliseconds = milliseconds
        self.sequence = sequence
    }

    static let invalid = FakeFailure(text: "ERR Invalid stream ID specified as stream command argument")
}

/// A stream: entries in the order of their ids.
struct FakeStream: Equatable {
    struct Entry: Equatable {
        var id: FakeStreamID
        var fields: [[UInt8]]
    }

    var entries: [Entry] = []
    var lastID = FakeStreamID.zero
}

extension FakeKeyspace {
    mutating func executeStream(_ call: FakeCall) throws(FakeFailure) -> RedisReply? {
        switch call.name {
        case "XADD": return try append(call)
        case "XLEN": return .count(try stream(call.key)?.entries.count ?? 0)
        case "XRANGE": return try range(call, low: 1, high: 2, reversed: false)
        case "XREVRANGE": return try range(call, low: 2, high: 1, reversed: true)
        case "XTRIM":
            var index = 1
            let limit = try trimLimit(call, &index)
            guard let limit, index == call.arguments.count else { throw .syntax }
            guard var stream = try stream(call.key) else { return .integer(0) }
            let excess = max(0, stream.entries.count - limit)
            stream.entries.removeFirst(excess)
            self[call.key] = .stream(stream)
            return .count(excess)
        default: return nil
        }
    }

    private func stream(_ key: [UInt8]) throws(FakeFailure) -> FakeStream? {
        guard let value = self[key] else { return nil }
        guard case .stream(let stream) = value else { throw .wrongType }
        return stream
    }

    /// `MAXLEN [=|~] n`; the fake trims exactly where the server, told `~`, may leave more.
    private func trimLimit(_ call: FakeCall, _ index: inout Int) throws(FakeFailure) -> Int? {
        guard call.option(index) == "MAXLEN" else { return nil }
        index += 1
        if index < call.arguments.count, ["=", "~"].contains(call.text(index)) { index += 1 }
        guard index < call.arguments.count else { throw .syntax }
        let limit = try call.int(index)
        if limit < 0 { throw FakeFailure(text: "ERR The MAXLEN argument must be >= 0.") }
        index += 1
        return Int(limit)
    }

    private mutating func append(_ call: FakeCall) throws(FakeFailure) -> RedisReply {
        var index = 1
        var creates = true
        if call.option(index) == "NOMKSTREAM" {
            creates = false
            index += 1
        }
        let limit = try trimLimit(call, &index)
        guard index < call.arguments.count else { throw .arity(call.name) }
        let fields = Array(call.arguments[(index + 1)...])
        guard !fields.isEmpty, fields.count % 2 == 0 else { throw .arity(call.name) }
        let text = call.text(index)
        // The form of the id is judged before the type of the key.
        let given = try fixedID(text)
        if given == .zero {
            throw FakeFailure(text: "ERR The ID specified in XADD must be greater than 0-0")
        }
        let known = try stream(call.key)
        if known == nil, !creates { return .null }
        var stream = known ?? FakeStream()
        let id = try given ?? nextID(text, stream)
        guard id > stream.lastID else {
            throw FakeFailure(text: "ERR The ID specified in XADD is equal or smaller than the target stream top item")
        }
        stream.entries.append(FakeStream.Entry(id: id, fields: fields))
        stream.lastID = id
        if let limit { stream.entries.removeFirst(max(0, stream.entries.count - limit)) }
        self[call.key] = .stream(stream)
        return .text(id.text)
    }

    private func fixedID(_ text: String) throws(FakeFailure) -> FakeStreamID? {
        if text == "*" { return nil }
        if text.hasSuffix("-*") {
            _ = try FakeStreamID(String(text.dropLast(2)), sequence: 0)
            return nil
        }
        return try FakeStreamID(text, sequence: 0)
    }

    /// For `*` and `ms-*`.
    private func nextID(_ text: String, _ stream: FakeStream) throws(FakeFailure) -> FakeStreamID {
        if text == "*" {
            let fresh = FakeStreamID(milliseconds: UInt64(max(0, now)), sequence: 0)
            return fresh > stream.lastID ? fresh : stream.lastID.next
        }
        let start = try FakeStreamID(String(text.dropLast(2)), sequence: 0)
        if start.milliseconds == stream.lastID.milliseconds { return stream.lastID.next }
        return start
    }

    private func range(_ call: FakeCall, low: Int, high: Int, reversed: Bool) throws(FakeFailure) -> RedisReply {
        let start = try bound(call.text(low), isLow: true)
        let end = try bound(call.text(high), isLow: false)
        var limit = Int.max
        if call.arguments.count > 3 {
            guard call.arguments.count == 5, call.option(3) == "COUNT" else { throw .syntax }
            limit = Int(try call.int(4))
        }
        guard let stream = try stream(call.key) else { return .array([]) }
        // A count of 0 answers null, below that it has no effect.
        if limit == 0 { return .array([]) }
        var found = stream.entries.filter { $0.id >= start && $0.id <= end }
        if reversed { found.reverse() }
        return .array(
            found.prefix(limit < 0 ? .max : limit).map { .array([.text($0.id.text), .bulks($0.fields)]) })
    }

    private func bound(_ text: String, isLow: Bool) throws(FakeFailure) -> FakeStreamID {
        if text == "-" { return .zero }
        if text == "+" { return .last }
        let exclusive = text.hasPrefix("(")
        let id = try FakeStreamID(exclusive ? String(text.dropFirst()) : text, sequence: isLow ? 0 : .max)
        guard exclusive else { return id }
        if isLow, id == .last { throw FakeFailure(text: "ERR invalid start ID for the interval") }
        if !isLow, id == .zero { throw FakeFailure(text: "ERR invalid end ID for the interval") }
        return isLow ? id.next : id.previous
    }
}
