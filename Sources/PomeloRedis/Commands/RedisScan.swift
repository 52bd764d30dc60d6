// SPDX-License-Identifier: MIT
import PomeloBytes

/// Long questions in short parts.
extension RedisPort {
    /// Commands that leave together, at most: more may be refused as too many that wait.
    private static var partLength: Int { 1000 }

    /// Sends any number of commands in parts and returns their replies in order.
    ///
    /// - Complexity: one round trip for 1000 commands.
    /// - Throws: as `pipeline`; the parts before may have been executed.
    public func pipelineInParts(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        var replies: [RedisReply] = []
        for start in stride(from: 0, to: commands.count, by: Self.partLength) {
            let end = min(start + Self.partLength, commands.count)
            replies += try await pipeline(Array(commands[start..<end]))
        }
        return replies
    }

    /// Walks the pages of SCAN or SSCAN, at most `limit` of them; `command` is given the cursor.
    ///
    /// What is there from the first page to the last comes at least once.
    ///
    /// - Throws: `RedisError`, and what `body` throws.
    public func forEachPage(
        limit: Int = .max, _ command: (_ cursor: String) -> RedisCommand, _ body: ([String]) async throws -> Void
    ) async throws {
        var cursor = "0"
        var pages = 0
        repeat {
            let page = try await send(command(cursor)).page()
            cursor = page.next
            pages += 1
            try await body(page.texts)
        } while cursor != "0" && pages < limit
    }

    /// Walks a set, in pages of about `count` members; what is there all the time comes at least once.
    ///
    /// - Throws: `RedisError`, and what `body` throws.
    package func forEachPage(
        of set: String, count: Int = RedisCommand.pageLength, _ body: ([String]) async throws -> Void
    ) async throws {
        try await forEachPage({ .page(of: set, at: $0, count: count) }, body)
    }

    /// Walks all keys that match a pattern, of every node; beyond ten million keys of one the rest of it is left.
    ///
    /// - Throws: `RedisError`, and what `body` throws.
    package func forEachPage(matching pattern: String, _ body: ([String]) async throws -> Void) async throws {
        let count = RedisCommand.pageLength
        for node in nodes {
            try await node.forEachPage(
                limit: 10_000_000 / count, { RedisCommand("SCAN", $0, "MATCH", pattern, "COUNT", count) }, body)
        }
    }

    /// Whether somebody has walked over all keys for a purpose since each node of now was started.
    ///
    /// A node that goes back in time is another run. Nobody may have been connected when it did, so that who comes
    /// later can only tell by what others have noted.
    package func isWalked(for purpose: String, notedIn key: String) async throws(RedisError) -> Bool {
        let run = runID
        guard !run.isEmpty else { return false }
        return try await send(RedisCommand("HGET", key, purpose)).string.map { Text($0) } == Text(run)
    }

    /// Notes a walk that began in this run; one that another run has overtaken is worth nothing.
    package func noteWalk(for purpose: String, in run: String, at key: String) async throws(RedisError) {
        guard run == runID, !run.isEmpty else { return }
        _ = try await send(RedisCommand("HSET", key, purpose, run))
    }

    /// Whether a set has all that a hash's field counted when it was last written; nil when it is empty and nobody
    /// counted.
    ///
    /// A Redis that is full may evict the set alone. A part of it is never missing.
    package func isWhole(_ set: String, countedIn hash: String, _ field: String) async throws(RedisError) -> Bool? {
        let replies = try await pipeline([RedisCommand("HGET", hash, field), RedisCommand("SCARD", [set])])
        guard replies.count == 2, try replies[1].get().int == 0 else { return true }
        return try replies[0].get().int.map { $0 == 0 }
    }
}

extension RedisReply {
    /// The texts of a page of SCAN or SSCAN, and the cursor of the next: "0" when there is none.
    ///
    /// - Throws: `.protocolError` when it is no page; `.reply` when it is an error.
    public func page() throws(RedisError) -> (texts: [String], next: String) {
        guard let page = try get().array, page.count == 2, let next = page[0].string, let texts = page[1].strings else {
            throw .protocolError("a page is \(self)")
        }
        return (texts, next)
    }
}

extension RedisCommand {
    /// About so many texts a page has.
    package static var pageLength: Int { 1000 }

    /// A page of a set: one SMEMBERS of 100 000 members would stall the loop for 20 ms.
    package static func page(of set: String, at cursor: String, count: Int = pageLength) -> RedisCommand {
        RedisCommand("SSCAN", set, cursor, "COUNT", count)
    }

    /// A text as a part of a MATCH pattern that matches only itself.
    public static func pattern(_ text: String) -> String {
        var pattern = ""
        for scalar in text.unicodeScalars {
            if "*?[]\\^".unicodeScalars.contains(scalar) { pattern.append("\\") }
            pattern.unicodeScalars.append(scalar)
        }
        return pattern
    }
}
