// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop
import Testing

@testable import PomeloRedis

@Suite struct RedisPureTests {
    struct Encoding: Sendable, CustomTestStringConvertible {
        let name: String
        let command: RedisCommand
        let bytes: String
        var testDescription: String { name }
    }

    static let encodings = [
        Encoding(name: "no argument", command: RedisCommand("PING"), bytes: "*1|$4|PING|"),
        Encoding(
            name: "text and number", command: RedisCommand("SET", "k", -12), bytes: "*3|$3|SET|$1|k|$3|-12|"),
        Encoding(
            name: "empty text", command: RedisCommand("SET", "", ""), bytes: "*3|$3|SET|$0||$0||"),
        Encoding(
            name: "length is in bytes", command: RedisCommand("GET", "键"), bytes: "*2|$3|GET|$3|键|"),
        Encoding(
            name: "bytes with line ends", command: RedisCommand("ECHO", [UInt8]("a\r\nb".utf8)),
            bytes: "*2|$4|ECHO|$4|a|b|"),
        Encoding(
            name: "two digit lengths", command: RedisCommand("GET", "0123456789"), bytes: "*2|$3|GET|$10|0123456789|"),
        Encoding(
            name: "appended members", command: RedisCommand("SADD", "k").appending(["a", "b"]),
            bytes: "*4|$4|SADD|$1|k|$1|a|$1|b|"),
    ]

    @Test(arguments: encodings) func encodes(_ example: Encoding) {
        let text = unsafe RedisCommand.withEncoded([example.command], size: example.command.size) { bytes in
            unsafe String(decoding: bytes, as: UTF8.self)
        }
        #expect(text == example.bytes.replacing("|", with: "\r\n"))
    }

    /// A batch that was begun never says that nothing of it was executed.
    @Test(arguments: [
        RedisError.connection("lost"), .closed, .overloaded(limit: 16), .timeout(milliseconds: 5),
    ]) func whatFailsBehindOthersMayBeExecuted(_ error: RedisError) {
        #expect(error.afterOthers.maybeExecuted)
    }

    @Test func repliesConvert() {
        #expect(RedisReply.text("42").int == 42)
        #expect(RedisReply.text("4x").int == nil)
        #expect(RedisReply.integer(7).string == "7")
        #expect(RedisReply.array([.text("a"), .integer(1)]).strings == ["a", "1"])
        #expect(RedisReply.array([.text("a"), .null]).strings == nil)
        #expect(RedisReply.array([.text("a"), .text("b")]).dictionary == ["a": "b"])
        #expect(RedisReply.array([.text("a")]).dictionary == nil)
        #expect(RedisReply.null.isNull)
        #expect(throws: RedisError.reply("ERR no")) { try RedisReply.error("ERR no").get() }
    }

    private let place = SocketAddress(host: "127.0.0.1", port: 6379)

    @Test func handshakeSaysOnlyWhatIsConfigured() {
        var configuration = RedisConfiguration()
        #expect(
            RedisHandshake(configuration, at: place, name: "n").commands.map(\.name) == [
                "CLIENT", "PING", "ROLE", "INFO",
            ])
        configuration.password = "p"
        configuration.db = 3
        let commands = RedisHandshake(configuration, at: place, name: "n").commands
        #expect(commands.prefix(2) == [RedisCommand("AUTH", "p"), RedisCommand("SELECT", 3)])
        configuration.username = "u"
        #expect(RedisHandshake(configuration, at: place, name: "n").commands.first == RedisCommand("AUTH", "u", "p"))
    }

    struct Answers: Sendable, CustomTestStringConvertible {
        let name: String
        let replies: [RedisReply]
        let verdict: String
        var testDescription: String { name }
    }

    static let ok = RedisReply.status("OK")
    static let master = RedisReply.array([.text("master"), .integer(0), .array([])])
    static let info = RedisReply.text("# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\n")
    static func version(_ text: String) -> RedisReply { .text("# Server\r\nredis_version:\(text)\r\n") }
    static let answers = [
        Answers(name: "all well", replies: [ok, ok, ok, .status("PONG"), master, info], verdict: "ready abc"),
        Answers(
            name: "rights missing", replies: [ok, ok] + Array(repeating: .error("NOPERM no"), count: 4),
            verdict: "ready  without CLIENT PING ROLE INFO"),
        Answers(
            name: "least version", replies: [ok, ok, ok, .status("PONG"), master, version("5.0.0")],
            verdict: "ready "),
        Answers(
            name: "too old", replies: [ok, ok, ok, .status("PONG"), master, version("4.0.14")],
            verdict: "misconfigured is version 4.0.14; 5.0 is the least that is supported"),
        Answers(
            name: "a version to come", replies: [ok, ok, ok, .status("PONG"), master, version("10.2")],
            verdict: "ready "),
        Answers(
            name: "no number", replies: [ok, ok, ok, .status("PONG"), master, version("99999999999999999999.x")],
            verdict: "ready "),
        Answers(
            name: "sentinel", replies: [ok, ok, ok, .status("PONG"), master, .text("redis_mode:sentinel\r\n")],
            verdict: "misconfigured is a Redis Sentinel"),
        Answers(
            name: "cluster", replies: [ok, ok, ok, .status("PONG"), master, .text("redis_mode:cluster\r\n")],
            verdict: "misconfigured is a node of a Redis Cluster"),
        Answers(
            name: "wrong password", replies: [.error("WRONGPASS x")] + Array(repeating: .error("NOAUTH"), count: 5),
            verdict: "misconfigured password"),
        Answers(
            name: "no such database", replies: [ok, .error("ERR DB index is out of range"), ok, ok, master, info],
            verdict: "misconfigured \"db\""),
        Answers(
            name: "loading", replies: [ok, ok, ok, .error("LOADING Redis is loading"), master, info],
            verdict: "unready LOADING"),
        Answers(
            name: "stale replica", replies: [ok, ok, ok, .error("MASTERDOWN Link"), master, info],
            verdict: "unready MASTERDOWN"),
        Answers(
            name: "replica", replies: [ok, ok, ok, .status("PONG"), .array([.text("slave"), .text("h")]), info],
            verdict: "unready read-only"),
    ]

    @Test(arguments: answers) func judgesHandshake(_ example: Answers) {
        var configuration = RedisConfiguration()
        configuration.password = "p"
        configuration.db = 3
        switch RedisHandshake(configuration, at: place, name: "n").verdict(example.replies) {
        case .ready(let runID, let refused):
            let missing = refused.isEmpty ? "" : " without " + refused.joined(separator: " ")
            #expect("ready \(runID)\(missing)" == example.verdict)
        case .misconfigured(let text):
            #expect(example.verdict.hasPrefix("misconfigured ") && text.contains(example.verdict.dropFirst(14)))
        case .unready(let text):
            #expect(example.verdict.hasPrefix("unready ") && text.contains(example.verdict.dropFirst(8)))
        }
    }

    /// A server that has no AUTH shows its arguments, and another may repeat them.
    @Test(arguments: [
        "ERR unknown command 'AUTH', with args beginning with: 's3cret' ", "ERR s3cret is wrong",
        "WRONGPASS invalid username-password pair or user is disabled.",
    ]) func aRefusedPasswordIsNotShown(_ text: String) {
        var configuration = RedisConfiguration()
        configuration.password = "s3cret"
        let handshake = RedisHandshake(configuration, at: place, name: "n")
        guard case .misconfigured(let words) = handshake.verdict([.error(text)]) else { return #expect(Bool(false)) }
        #expect(!words.contains("s3c") && words.contains("\"password\""), "\(words)")
    }

    /// A user without these rights can do everything else, and is told which commands they are.
    @Test func aHandshakeNamesTheCommandsWithoutARight() {
        let handshake = RedisHandshake(RedisConfiguration(), at: place, name: "n")
        let replies = handshake.commands.map { command -> RedisReply in
            ["ROLE", "INFO"].contains(command.name) ? .error("NOPERM this user has no permissions") : .status("OK")
        }
        guard case .ready(_, let refused) = handshake.verdict(replies) else { return #expect(Bool(false)) }
        #expect(refused == ["ROLE", "INFO"])
    }

    static let codes = [
        ("READONLY You can't write against a read only replica.", "READONLY"),
        (
            "ERR Error running script (call to f_1a): @user_script:1: @user_script: 1: -READONLY You can't write "
                + "against a read only replica.", "READONLY"
        ),
        ("@user_script: 3: -MASTERDOWN Link with MASTER is down", "MASTERDOWN"),
        ("ERR Error running script (call to f_1a): @user_script:9: -LOADING Redis is loading", "LOADING"),
        ("READONLY You can't write against a read only replica. script: 1a, on @user_script:1.", "READONLY"),
        ("ERR Error running script (call to f_1a): @user_script:1: -A- -b -", "ERR"),
        ("ERR unknown command 'x', with args beginning with: -READONLY ", "ERR"),
        ("", ""),
    ]

    @Test(arguments: codes) func theCodeOfAnErrorIsFoundInEveryForm(_ text: String, _ code: String) {
        #expect(RedisReply.error(text).errorCode == code)
    }

    @Test func errorsSayWhetherARetryIsSafe() {
        #expect(!RedisError.connection("x").maybeExecuted)
        #expect(RedisError.connection("x", maybeExecuted: true).maybeExecuted)
        #expect(RedisError.timeout(milliseconds: 1).maybeExecuted)
        #expect(!RedisError.overloaded(limit: 1).maybeExecuted)
        #expect("\(RedisError.timeout(milliseconds: 1500))" == "redis did not answer within 1500 ms")
    }
}
