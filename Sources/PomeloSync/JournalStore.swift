// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloRedis

/// What is written to a journal at once.
struct JournalPart {
    /// Fields and values of entries, in turn.
    var entries: [RedisArgument] = []
    /// Fields of entries that sinks have confirmed.
    var removed: [Bytes] = []
    /// Dead letters; nil for one that is dropped.
    var letters: [(field: Bytes, value: Bytes?)] = []
    var bytes = 0

    mutating func add(_ field: Bytes, _ value: Bytes) {
        entries.append(.bytes(field))
        entries.append(.bytes(value))
        bytes += field.count + value.count
    }

    var isFull: Bool { bytes >= Self.maxBytes || entries.count >= 2 * Self.maxEntries }

    private static let maxBytes = 1 << 20
    private static let maxEntries = 4096
}

/// The commands of journals.
@Loop final class JournalStore {
    /// What was at a journal that was claimed.
    enum Found { case journal, claimed, nothing }

    /// Longer than a former owner may be frozen and then go on as if nothing had happened.
    static let fenceSeconds = 86_400
    static let page = 1000

    let redis: any RedisPort
    let keys: JournalKeys

    init(_ redis: any RedisPort, _ keys: JournalKeys) {
        self.redis = redis
        self.keys = keys
    }

    // MARK: the set of journals

    func places() async throws(RedisError) -> [JournalPlace] {
        try await redis.send(RedisCommand("SMEMBERS", [keys.journals])).strings?.compactMap { JournalPlace($0) } ?? []
    }

    func register(_ place: JournalPlace) async throws(RedisError) {
        try await redis.send(RedisCommand("SADD", keys.journals, place.text))
    }

    func unregister(_ place: JournalPlace) async throws(RedisError) {
        try await redis.send(RedisCommand("SREM", keys.journals, place.text))
    }

    // MARK: one journal

    /// Writes a part, and the last version given; the replies come in the order of `commands(of:)`.
    ///
    /// - Throws: also for an error that a command was answered.
    func write(_ part: JournalPart, to place: JournalPlace, clock: UInt64) async throws(RedisError) {
        let (key, dead) = (keys.journal(place), keys.dead(place.server))
        var commands: [RedisCommand] = []
        let added = part.letters.flatMap { letter in letter.value.map { [letter.field, $0] } ?? [] }
        let dropped = part.letters.filter { $0.value == nil }.map(\.field)
        if !added.isEmpty { commands.append(Self.command("HSET", dead, added)) }
        if !dropped.isEmpty { commands.append(Self.command("HDEL", dead, dropped)) }
        if !part.removed.isEmpty { commands.append(Self.command("HDEL", key, part.removed)) }
        if !part.entries.isEmpty { commands.append(RedisCommand("HSET", arguments: [.text(key)] + part.entries)) }
        commands.append(RedisCommand("SET", keys.clock(place.server), String(clock)))
        for reply in try await redis.pipeline(commands) { _ = try reply.get() }
    }

    func remove(_ fields: [Bytes], from place: JournalPlace) async throws(RedisError) {
        try await redis.send(Self.command("HDEL", keys.journal(place), fields))
    }

    func removeLetters(_ fields: [Bytes], of server: ServerID) async throws(RedisError) {
        try await redis.send(Self.command("HDEL", keys.dead(server), fields))
    }

    /// Gives a journal another name, and fences the former one: who writes to it learns that it is not his any more.
    ///
    /// `new` must never have been tried before: a call that is executed late is harmless then.
    func claim(_ old: JournalPlace, as new: JournalPlace) async throws(RedisError) -> Found {
        let (from, to) = (keys.journal(old), keys.journal(new))
        let replies = try await redis.transaction([
            RedisCommand("RENAME", from, to), RedisCommand("SET", from, "fenced", "EX", Self.fenceSeconds),
            RedisCommand("TYPE", [to]),
        ])
        // RENAME answers with an error when there is nothing.
        _ = try replies.dropFirst().first?.get()
        switch replies.last?.string {
        case "hash": return .journal
        case "string": return .claimed
        default: return .nothing
        }
    }

    /// Forgets a journal of which nothing is needed any more, and fences it.
    func drop(_ place: JournalPlace) async throws(RedisError) {
        let key = keys.journal(place)
        _ = try await redis.transaction([
            RedisCommand("UNLINK", [key]), RedisCommand("SET", key, "fenced", "EX", Self.fenceSeconds),
        ])
        try await unregister(place)
    }

    // MARK: reading

    /// Everything in a hash; nothing when it is none.
    func entries(of place: JournalPlace) async throws(RedisError) -> [(field: Bytes, value: Bytes)] {
        try await fields(keys.journal(place))
    }

    func letters(of server: ServerID) async throws(RedisError) -> [(field: Bytes, value: Bytes)] {
        try await fields(keys.dead(server))
    }

    /// The last version of a server, as it wrote it down.
    func clock(of server: ServerID) async throws(RedisError) -> UInt64 {
        try await redis.send(RedisCommand("GET", [keys.clock(server)])).string.flatMap { UInt64($0) } ?? 0
    }

    /// A field may come twice.
    private func fields(_ key: String) async throws(RedisError) -> [(field: Bytes, value: Bytes)] {
        var found: [Bytes: Bytes] = [:]
        var cursor = "0"
        repeat {
            let reply = try await redis.send(RedisCommand("HSCAN", key, cursor, "COUNT", Self.page))
            guard let page = reply.array, page.count == 2, let next = page[0].string, let words = page[1].array else {
                throw .protocolError("a page is \(reply)")
            }
            for index in stride(from: 0, to: words.count - 1, by: 2) {
                if let field = words[index].bytes, let value = words[index + 1].bytes { found[field] = value }
            }
            cursor = next
        } while cursor != "0"
        return found.map { ($0.key, $0.value) }
    }

    private static func command(_ name: String, _ key: String, _ words: [Bytes]) -> RedisCommand {
        RedisCommand(name, arguments: [.text(key)] + words.map { .bytes($0) })
    }
}
