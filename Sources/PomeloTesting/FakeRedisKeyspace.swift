// SPDX-License-Identifier: MIT
import PomeloRedis

/// What a key holds.
enum FakeValue: Equatable {
    case string([UInt8])
    case hash([[UInt8]: [UInt8]])
    case set(Set<[UInt8]>)
    case sorted([[UInt8]: Double])
    case stream(FakeStream)

    var typeName: String {
        switch self {
        case .string: "string"
        case .hash: "hash"
        case .set: "set"
        case .sorted: "zset"
        case .stream: "stream"
        }
    }

    /// A key never holds an empty collection; streams may be empty.
    var isGone: Bool {
        switch self {
        case .hash(let fields): fields.isEmpty
        case .set(let members): members.isEmpty
        case .sorted(let scores): scores.isEmpty
        case .string, .stream: false
        }
    }
}

/// An error reply on its way out of a command.
struct FakeFailure: Error {
    let text: String

    static let wrongType = FakeFailure(text: "WRONGTYPE Operation against a key holding the wrong kind of value")
    static let syntax = FakeFailure(text: "ERR syntax error")
    static let notInteger = FakeFailure(text: "ERR value is not an integer or out of range")
    static let notFloat = FakeFailure(text: "ERR value is not a valid float")
    static let overflow = FakeFailure(text: "ERR increment or decrement would overflow")

    static func arity(_ name: String) -> FakeFailure {
        FakeFailure(text: "ERR wrong number of arguments for '\(name.lowercased())' command")
    }
}

/// One command as the server sees it.
struct FakeCall {
    /// In upper case.
    let name: String
    let arguments: [[UInt8]]
    /// Unix time in milliseconds.
    let now: Int64

    var key: [UInt8] { arguments[0] }

    func text(_ index: Int) -> String { String(decoding: arguments[index], as: UTF8.self) }

    func option(_ index: Int) -> String { text(index).uppercased() }

    func int(_ index: Int) throws(FakeFailure) -> Int64 {
        guard let value = Self.int(arguments[index]) else { throw .notInteger }
        return value
    }

    /// Redis takes no plus sign and no leading zero.
    static func int(_ bytes: [UInt8]) -> Int64? {
        let text = String(decoding: bytes, as: UTF8.self)
        guard let value = Int64(text), String(value) == text else { return nil }
        return value
    }
}

/// All keys of one fake server; a value, so that a copy is a snapshot.
struct FakeKeyspace {
    private struct Entry {
        var value: FakeValue
        /// Unix time in milliseconds.
        var expiry: Int64?
    }

    private var entries: [[UInt8]: Entry] = [:]

    /// The time of the running command: what has expired by now is not there.
    private(set) var now: Int64 = 0

    /// Executes one command whose number of arguments has been checked.
    mutating func execute(_ call: FakeCall) throws(FakeFailure) -> RedisReply {
        now = call.now
        if let reply = try executeGeneric(call) { return reply }
        if let reply = try executeString(call) { return reply }
        if let reply = try executeHash(call) { return reply }
        if let reply = try executeSet(call) { return reply }
        if let reply = try executeSorted(call) { return reply }
        if let reply = try executeStream(call) { return reply }
        throw FakeFailure(text: "ERR unknown command '\(call.name)': the fake does not have it")
    }

    // MARK: access

    private func isLive(_ entry: Entry) -> Bool { entry.expiry.map { $0 > now } ?? true }

    subscript(key: [UInt8]) -> FakeValue? {
        get { entries[key].flatMap { isLive($0) ? $0.value : nil } }
        set {
            guard let newValue, !newValue.isGone else {
                entries[key] = nil
                return
            }
            let kept = entries[key].flatMap { isLive($0) ? $0.expiry : nil }
            entries[key] = Entry(value: newValue, expiry: kept)
        }
    }

    func expiry(_ key: [UInt8]) -> Int64? { self[key] == nil ? nil : entries[key]?.expiry }

    mutating func setExpiry(_ key: [UInt8], _ expiry: Int64?) { entries[key]?.expiry = expiry }

    mutating func remove(_ key: [UInt8]) -> Bool {
        guard let entry = entries.removeValue(forKey: key) else { return false }
        return isLive(entry)
    }

    mutating func removeAll() { entries = [:] }

    /// Live keys in the order of their bytes, so that equal runs give equal replies.
    var keys: [[UInt8]] {
        entries.filter { isLive($0.value) }.keys.sorted { $0.lexicographicallyPrecedes($1) }
    }

    // MARK: scanning

    /// `… cursor [MATCH glob] [COUNT n]`: the cursor is a place in the order of the elements' hashes, so an element
    /// that stays is returned whatever happens to the others.
    func scan(
        _ elements: [[UInt8]], _ call: FakeCall, from first: Int, _ isWanted: ([UInt8]) -> Bool = { _ in true }
    ) throws(FakeFailure) -> (next: String, page: [[UInt8]]) {
        guard let cursor = UInt64(call.text(first)) else { throw FakeFailure(text: "ERR invalid cursor") }
        var pattern: FakeGlob?
        var count: Int64 = 10
        var index = first + 1
        while index < call.arguments.count {
            guard index + 1 < call.arguments.count else { throw .syntax }
            switch call.option(index) {
            case "MATCH": pattern = FakeGlob(call.arguments[index + 1])
            case "COUNT":
                count = try call.int(index + 1)
                if count < 1 { throw .syntax }
            case "TYPE" where call.name == "SCAN": break
            default: throw .syntax
            }
            index += 2
        }
        let ordered = elements.map { (place: Self.place($0), element: $0) }
            .filter { $0.place >= cursor }
            .sorted { $0.place != $1.place ? $0.place < $1.place : $0.element.lexicographicallyPrecedes($1.element) }
        var page: [[UInt8]] = []
        var next: UInt64 = 0
        for (seen, item) in ordered.enumerated() {
            // Elements of one place never come in two pages.
            if seen >= count, item.place != ordered[seen - 1].place {
                next = item.place
                break
            }
            if isWanted(item.element), pattern?.matches(item.element) ?? true { page.append(item.element) }
        }
        return (String(next), page)
    }

    /// FNV-1a, 32 bits, never 0.
    private static func place(_ bytes: [UInt8]) -> UInt64 {
        var hash: UInt32 = 2_166_136_261
        for byte in bytes { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
        return UInt64(hash) + 1
    }
}

extension RedisReply {
    static let ok = RedisReply.status("OK")

    static func count(_ number: Int) -> RedisReply { .integer(Int64(number)) }

    static func bulks(_ elements: some Sequence<[UInt8]>) -> RedisReply { .array(elements.map(RedisReply.bulk)) }

    static func optional(_ bytes: [UInt8]?) -> RedisReply { bytes.map(RedisReply.bulk) ?? .null }

    static func page(_ page: (next: String, page: [[UInt8]])) -> RedisReply {
        .array([.text(page.next), .bulks(page.page)])
    }
}
