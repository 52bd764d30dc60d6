// SPDX-License-Identifier: MIT
import PomeloLoop
import TestHelpers
import Testing

@testable import PomeloRedis

/// Replies of a server that means harm, or is cut off at a bad moment.
@Suite(.serialized) struct ReplyAttackTests {
    private static let nested =
        "*5\r\n*2\r\n-ERR in\r\n:-1\r\n$6\r\na\r\n*1\r\r\n*-1\r\n*1\r\n*2\r\n$-1\r\n$0\r\n\r\n+\r\n"
    private static let value = RedisReply.array([
        .array([.error("ERR in"), .integer(-1)]), .bulk(Array("a\r\n*1\r".utf8)), .null,
        .array([.array([.null, .bulk([])])]), .status(""),
    ])

    /// Gives the pieces one after the other.
    @Loop private static func read(_ pieces: [String]) throws -> (replies: [RedisReply], error: String?) {
        let reader = try #require(ReplyReader())
        var replies: [RedisReply] = []
        for piece in pieces {
            unsafe Array(piece.utf8).withUnsafeBytes { unsafe reader.feed($0) }
            if reader.take(.max, into: &replies).isMalformed { return (replies, reader.errorText) }
        }
        return (replies, nil)
    }

    @Test @Loop func aNestedReplyMayBeSplitAtEveryByte() throws {
        let text = Self.nested + Self.nested
        for cut in 0...text.utf8.count {
            let bytes = Array(text.utf8)
            let pieces = [bytes[..<cut], bytes[cut...]].map { String(decoding: $0, as: UTF8.self) }
            let (replies, error) = try Self.read(pieces)
            #expect(replies == [Self.value, Self.value] && error == nil, "cut at \(cut): \(replies), \(error ?? "")")
        }
        #expect(try Self.read(text.utf8.map { String(UnicodeScalar($0)) }).replies == [Self.value, Self.value])
    }

    /// Each piece was looked through from the beginning of its line, up to 128 MB of them: that kept the loop busy.
    @Test(arguments: ["+", "-", ":", "$", "*", "*2\r\n:1\r\n+", "*1\r\n*1\r\n$"])
    @Loop func aLineWithoutAnEndIsRefusedSoon(_ start: String) throws {
        let piece = String(repeating: "1", count: 65_536)
        let (replies, error) = try Self.read([start] + Array(repeating: piece, count: 20))
        #expect(replies.isEmpty && error?.isEmpty == false)
    }

    @Test @Loop func textsAndArraysMayBeLong() throws {
        let piece = String(repeating: "1", count: 65_536)
        let (texts, error) = try Self.read(["$1310720\r\n"] + Array(repeating: piece, count: 20) + ["\r\n"])
        #expect(texts.first?.bytes?.count == 1_310_720 && error == nil)
        let numbers = String(repeating: ":1\r\n", count: 10_000)
        let (arrays, other) = try Self.read(["*500000\r\n"] + Array(repeating: numbers, count: 50))
        #expect(arrays.first?.array?.count == 500_000 && other == nil)
    }

    /// Older parsers refuse them, newer ones read some as what they resemble; none is left half made.
    @Test(arguments: [
        "%1\r\n+a\r\n+b\r\n", "~1\r\n+a\r\n", "#t\r\n", ",1.5\r\n", "(12345\r\n", "=5\r\ntxt:a\r\n", "_\r\n",
        ">2\r\n+a\r\n+b\r\n", "|1\r\n+a\r\n+b\r\n", "*2\r\n:1\r\n#t\r\n", "*2\r\n,1.5\r\n%-1\r\n", "*?\r\n.\r\n",
        "$?\r\n;1\r\na\r\n;0\r\n", "!3\r\nERR\r\n",
    ]) @Loop func kindsThatWereNotAskedForAreNoTrap(_ text: String) throws {
        let (replies, error) = try Self.read(text.utf8.map { String(UnicodeScalar($0)) } + [":1\r\n"])
        #expect(error != nil || replies.count == 2, "\(replies)")
    }

    /// Announced is not there: nothing but the levels that are open takes memory.
    @Test @Loop func aNestOfAnnouncementsIsRefusedOrWaitsForItsBytes() throws {
        for depth in 1...64 {
            let (replies, error) = try Self.read([String(repeating: "*16777216\r\n", count: depth)])
            #expect(replies.isEmpty && (error != nil) == (depth > 8), "\(depth)")
        }
    }

    @Test(arguments: [1, 20, nested.utf8.count - 1])
    @Loop func anEndWithinAReplyFailsItsCommandAndTheNextConnectionStartsAfresh(_ length: Int) async throws {
        let server = try await ScriptedServer.start()
        server.isSilent = true
        let connection = RedisConnection(server.configuration, name: "test", logger: quiet)
        try await connection.start()
        let calls = Tally()
        Loop.spawn {
            calls.note(await failure { () throws(RedisError) in _ = try await connection.send(RedisCommand("A")) })
        }
        await until("it is asked") { server.received > 0 }
        server.say(String(decoding: Array(Self.nested.utf8).prefix(length), as: UTF8.self))
        server.streams[0].close()
        await until("the call has failed") { calls.ended == 1 }
        #expect(calls.outcomes.first??.maybeExecuted == true)
        server.isSilent = false
        server.answer = Self.nested
        await until("it is connected again") { connection.isUp && server.accepted == 2 }
        #expect(try await connection.send(RedisCommand("A")) == Self.value)
        await connection.stop()
        server.close()
    }

    /// Whoever is cancelled, the replies stay those of their commands.
    @Test @Loop func aCallThatIsCancelledWithinItsReplyShiftsNoOther() async throws {
        let server = try await ScriptedServer.start()
        server.isSilent = true
        let connection = RedisConnection(server.configuration, name: "test", logger: quiet)
        try await connection.start()
        let first = Loop.spawn { _ = try? await connection.pipeline([RedisCommand("A"), RedisCommand("B")]) }
        await until("the first are asked") { server.received > 0 }
        let before = server.received
        var second: RedisReply?
        Loop.spawn { second = try? await connection.send(RedisCommand("C")) }
        await until("the second is asked") { server.received > before }
        let bytes = Array((":1\r\n" + Self.nested + "+second\r\n").utf8)
        server.say(String(decoding: bytes[..<30], as: UTF8.self))
        first.cancel()
        await Loop.yield()
        server.say(String(decoding: bytes[30...], as: UTF8.self))
        await until("the second has its own reply") { second == .status("second") }
        #expect(connection.isUp)
        await connection.stop()
        server.close()
    }
}
