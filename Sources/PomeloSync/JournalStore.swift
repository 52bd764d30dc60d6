// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloRedis

/// What is written to a journal at once.
struct JournalPart {
    /// The journal's key, and then fields and values of entries, in turn.
    private(set) var entries: [RedisArgument]
    /// Fields of entries that sinks have confirmed.
    private(set) var removed: [Bytes] = []
    /// Dead letters, nil for one that is dropped, and what is called when the journal has it.
    private(set) var letters: [(field: Bytes, value: Bytes?, kept: [@Loop () -> Void])] = []
    private var bytes = 0

    init(_ key: String) { entries = [.text(key)] }

    mutating func add(_ field: Bytes, _ value: Bytes) {
        entries.append(.bytes(field))
        entries.append(.bytes(value))
        bytes += field.count + value.count
    }

    mutating func remove(_ field: Bytes) {
        removed.append(field)
        bytes += field.count
    }

    mutating func change(_ field: Bytes, _ letter: Bytes?, _ kept: [@Loop () -> Void]) {
        letters.append((field, letter, kept))
        bytes += field.count + (letter?.count ?? 0)
    }

    var isFull: Bool {
        bytes >= Self.maxBytes || entries.count / 2 + removed.count + letters.count >= Self.maxEntries
    }

    private static let maxBytes = 1 << 20
    private static let maxEntries = 4096
}

extension LoopClock {
    /// What a caller waits at most, when Redis is away.
    private static var redisLimit: Duration { .milliseconds(1500) }

    /// - Throws: also `RedisError.timeout`; what is late may still happen.
    @Loop func inTime<T: Sendable>(_ body: @escaping @Loop @Sendable () async throws -> T) async throws -> T {
        guard let result = try await within(Self.redisLimit, body) else {
            throw RedisError.timeout(milliseconds: Int(Self.redisLimit.clampedMilliseconds))
        }
        return result
    }
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

    func part(of place: JournalPlace) -> JournalPart { JournalPart(keys.journal(place)) }

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
        if part.entries.count > 1 { commands.append(RedisCommand("HSET", arguments: part.entries)) }
        commands.append(RedisCommand("SET", keys.clock(place.server), String(clock)))
        for reply in try await redis.pipeline(commands) { _ = try reply.get() }
    }

    func remove(_ fields: [Bytes], from place: JournalPlace) async throws(RedisError) {
        try await redis.send(Self.command("HDEL", keys.journal(place), fields))
    }

    /// Writes entries beside those that are there.
    func add(_ entries: JournalPages.Page, to place: JournalPlace) async throws(RedisError) {
        try await redis.send(Self.command("HSET", keys.journal(place), entries.flatMap { [$0.field, $0.value] }))
    }

    func removeLetters(_ fields: [Bytes], of server: ServerID) async throws(RedisError) {
        try await redis.send(Self.command("HDEL", keys.dead(server), fields))
    }

    /// Gives a journal another name, and fences the former one: who writes to it learns that it is not his any more.
    ///
    /// `new` must never have been tried before. A call that is executed late does nothing then: whoever has found
    /// nothing at `new` has left a fence there, and one that has claimed `old` since has left one here.
    func claim(_ old: JournalPlace, as new: JournalPlace) async throws(RedisError) -> Found {
        let (from, to) = (keys.journal(old), keys.journal(new))
        let replies = try await redis.transaction([
            RedisCommand("RENAMENX", from, to),
            RedisCommand("SET", from, "fenced", "NX", "EX", Self.fenceSeconds), RedisCommand("TYPE", [to]),
        ])
        // RENAMENX answers with an error when there is nothing.
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

    /// A page of a journal from a cursor on, and the next one's.
    ///
    /// The cursor is nil behind the last. A field may come twice.
    func page(
        of place: JournalPlace, from cursor: String, _ count: Int
    ) async throws(RedisError) -> (page: JournalPages.Page, next: String?) {
        try await page(keys.journal(place), cursor, count)
    }

    /// Those of the fields that are there.
    func entries(of place: JournalPlace, _ fields: [Bytes]) async throws(RedisError) -> JournalPages.Page {
        let values = try await redis.send(Self.command("HMGET", keys.journal(place), fields)).array ?? []
        return zip(fields, values).compactMap { field, value in value.bytes.map { (field, $0) } }
    }

    func letters(of server: ServerID) async throws(RedisError) -> [(field: Bytes, value: Bytes)] {
        try await fields(keys.dead(server))
    }

    /// The last versions of servers, as they wrote them down.
    func clocks(of servers: [ServerID]) async throws(RedisError) -> [UInt64] {
        if servers.isEmpty { return [] }
        return try await redis.pipeline(servers.map { RedisCommand("GET", [keys.clock($0)]) })
            .compactMap { $0.string.flatMap { UInt64($0) } }
    }

    /// All of a hash, in smaller pages when one is more than Redis answers with in time, or a reply may have.
    private func fields(_ key: String) async throws(RedisError) -> JournalPages.Page {
        var found: [Bytes: Bytes] = [:]
        var cursor: String? = "0"
        var count = Self.page
        while let at = cursor {
            do throws(RedisError) {
                let (page, next) = try await page(key, at, count)
                for (field, value) in page { found[field] = value }
                cursor = next
            } catch {
                guard count > 1, error.maybeExecuted else { throw error }
                count = max(1, count / 4)
            }
        }
        return found.map { ($0.key, $0.value) }
    }

    private func page(
        _ key: String, _ cursor: String, _ count: Int
    ) async throws(RedisError) -> (page: JournalPages.Page, next: String?) {
        let reply = try await redis.send(RedisCommand("HSCAN", key, cursor, "COUNT", count))
        guard let parts = reply.array, parts.count == 2, let next = parts[0].string, let words = parts[1].array else {
            throw .protocolError("a page is \(reply)")
        }
        let page = stride(from: 0, to: words.count - 1, by: 2).compactMap { index in
            words[index].bytes.flatMap { field in words[index + 1].bytes.map { (field: field, value: $0) } }
        }
        return (page, next == "0" ? nil : next)
    }

    private static func command(_ name: String, _ key: String, _ words: [Bytes]) -> RedisCommand {
        RedisCommand(name, arguments: [.text(key)] + words.map { .bytes($0) })
    }
}
