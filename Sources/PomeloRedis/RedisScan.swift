// SPDX-License-Identifier: MIT

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
