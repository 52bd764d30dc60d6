// SPDX-License-Identifier: MIT
import PomeloRedis

/// The position of a stream's entry: Unix milliseconds and a number within them.
private struct FakeRedisPosition: Sendable, Comparable {
    var milliseconds: UInt64
    var number: UInt64

    static let zero = FakeRedisPosition(milliseconds: 0, number: 0)
    static let last = FakeRedisPosition(milliseconds: .max, number: .max)

    init(milliseconds: UInt64, number: UInt64) {
        self.milliseconds = milliseconds
        self.number = number
    }

    /// Reads `ms-number`, or `ms` with the number that is missing.
    init?(_ text: Substring, missing: UInt64) {
        let parts = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first.flatMap({ UInt64($0) }) else { return nil }
        milliseconds = first
        number = missing
        guard parts.count == 2 else { return }
        guard let second = UInt64(parts[1]) else { return nil }
        number = second
    }

    var text: String { "\(milliseconds)-\(number)" }

    /// The next one, also when the wall clock went back.
    func next(at now: Int64) -> FakeRedisPosition {
        let now = UInt64(clamping: now)
        if now > milliseconds { return FakeRedisPosition(milliseconds: now, number: 0) }
        if number == .max { return FakeRedisPosition(milliseconds: milliseconds &+ 1, number: 0) }
        return FakeRedisPosition(milliseconds: milliseconds, number: number + 1)
    }

    static func < (one: Self, other: Self) -> Bool {
        (one.milliseconds, one.number) < (other.milliseconds, other.number)
    }
}

/// The value of a stream key; one that lost all its entries exists.
private struct FakeRedisStream: FakeRedisContent {
    typealias Entry = (position: FakeRedisPosition, words: [[UInt8]])

    static let typeName = "stream"
    var entries: [Entry] = []
    var last = FakeRedisPosition.zero
    var isEmpty: Bool { last == .zero }
}

/// Commands on streams.
extension FakeRedisState {
    static let streamCommands: [String: Command] = [
        "XADD": Command(atLeast: 4) { try $0.streamAdd($1) },
        "XDEL": Command(atLeast: 2) { try $0.streamDelete($1) },
        "XLEN": Command(1) { state, words in
            .count(try state.read(words[0], FakeRedisStream.self)?.entries.count ?? 0)
        },
        "XRANGE": Command(atLeast: 3) { state, words in
            try state.streamRange(words, from: 1, to: 2) { $0 }
        },
        "XREVRANGE": Command(atLeast: 3) { state, words in
            try state.streamRange(words, from: 2, to: 1) { $0.reversed() }
        },
    ]

    private static let badPosition = Refusal("ERR Invalid stream ID specified as stream command argument")

    // MARK: adding

    private struct AddOptions {
        var makesStream = true
        var maxLength: Int64?
        /// Where the position of the new entry stands.
        var index = 1

        init(_ words: Words) throws(Refusal) {
            while index < words.count {
                switch words.option(index) {
                case "NOMKSTREAM": makesStream = false
                case "MAXLEN":
                    // "About" this many may be exactly this many.
                    if index + 1 < words.count, ["~", "="].contains(words.option(index + 1)) { index += 1 }
                    let length = try words.integer(after: index)
                    if length < 0 { throw Refusal("ERR The MAXLEN argument must be >= 0.") }
                    maxLength = length
                    index += 1
                default: return
                }
                index += 1
            }
        }
    }

    private mutating func streamAdd(_ words: Words) throws(Refusal) -> RedisReply {
        let options = try AddOptions(words)
        guard options.index < words.count else { throw .arity("xadd") }
        let text = String(decoding: words[options.index], as: UTF8.self)
        let given = FakeRedisPosition(text[...], missing: 0)
        if given == nil, text != "*" { throw Self.badPosition }
        let fields = Array(words.from(options.index + 1))
        if fields.isEmpty || !fields.count.isMultiple(of: 2) { throw .arity("xadd") }
        if given == .zero { throw Refusal("ERR The ID specified in XADD must be greater than 0-0") }
        if !options.makesStream, try read(words[0], FakeRedisStream.self) == nil { return .null }
        let now = now
        return try update(words[0], FakeRedisStream.self) { stream throws(Refusal) in
            let position = given ?? stream.last.next(at: now)
            guard position > stream.last else {
                throw Refusal(
                    "ERR The ID specified in XADD is equal or smaller than the target stream top item")
            }
            stream.last = position
            stream.entries.append((position, fields))
            let kept = options.maxLength.map { Int(clamping: $0) } ?? .max
            stream.entries.removeFirst(max(0, stream.entries.count - kept))
            return .text(position.text)
        }
    }

    // MARK: deleting

    private mutating func streamDelete(_ words: Words) throws(Refusal) -> RedisReply {
        // The key is looked at before the positions are.
        guard try read(words[0], FakeRedisStream.self) != nil else { return .integer(0) }
        var positions: [FakeRedisPosition] = []
        for word in words.from(1) {
            guard let position = FakeRedisPosition(String(decoding: word, as: UTF8.self)[...], missing: 0) else {
                throw Self.badPosition
            }
            positions.append(position)
        }
        return try update(words[0], FakeRedisStream.self) { stream in
            let before = stream.entries.count
            stream.entries.removeAll { entry in positions.contains(entry.position) }
            return .integer(Int64(before - stream.entries.count))
        }
    }

    // MARK: ranges

    private func streamRange(
        _ words: Words, from start: Int, to end: Int,
        _ order: ([FakeRedisStream.Entry]) -> [FakeRedisStream.Entry]
    ) throws(Refusal) -> RedisReply {
        let start = try Self.bound(words[start], missing: 0)
        if start.isExcluded, start.position == .last { throw Refusal("ERR invalid start ID for the interval") }
        let end = try Self.bound(words[end], missing: .max)
        if end.isExcluded, end.position == .zero { throw Refusal("ERR invalid end ID for the interval") }
        var count: Int64?
        for index in stride(from: 3, to: words.count, by: 2) {
            guard words.option(index) == "COUNT", index + 1 < words.count else { throw .syntax }
            count = max(0, try words.integer(index + 1))
        }
        guard let stream = try read(words[0], FakeRedisStream.self) else { return .array([]) }
        if count == 0 { return .null }
        let found = stream.entries.filter {
            (start.isExcluded ? $0.position > start.position : $0.position >= start.position)
                && (end.isExcluded ? $0.position < end.position : $0.position <= end.position)
        }
        let page = order(found).prefix(count.map { Int(clamping: $0) } ?? .max)
        return .array(page.map { .array([.text($0.position.text), .list($0.words)]) })
    }

    private static func bound(
        _ word: Word, missing: UInt64
    ) throws(Refusal) -> (position: FakeRedisPosition, isExcluded: Bool) {
        let text = String(decoding: word, as: UTF8.self)
        if text == "-" { return (.zero, false) }
        if text == "+" { return (.last, false) }
        let isExcluded = text.hasPrefix("(")
        let position = FakeRedisPosition(text.dropFirst(isExcluded ? 1 : 0), missing: missing)
        guard let position else { throw badPosition }
        return (position, isExcluded)
    }
}
