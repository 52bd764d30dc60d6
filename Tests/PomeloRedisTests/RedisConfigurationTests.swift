// SPDX-License-Identifier: MIT
import Foundation
import PomeloLoop
import PomeloRedis
import PomeloTLS
import TestHelpers
import Testing

@Suite struct RedisConfigurationTests {
    struct Good: Sendable, CustomTestStringConvertible {
        let name: String
        let json: String
        let expected: RedisConfiguration
        var testDescription: String { name }

        init(_ name: String, _ json: String, _ change: (inout RedisConfiguration) -> Void) {
            self.name = name
            self.json = json
            var expected = RedisConfiguration()
            change(&expected)
            self.expected = expected
        }
    }

    static func places(_ texts: String...) -> [SocketAddress] {
        texts.map { text in
            let colon = text.lastIndex(of: ":") ?? text.endIndex
            return SocketAddress(host: String(text[..<colon]), port: Int(text[colon...].dropFirst()) ?? 0)
        }
    }

    static let good = [
        Good("nothing", "{}") { _ in },
        Good("the tutorial's keys", #"{"host":"10.0.0.5","port":6380,"db":2}"#) {
            $0.host = "10.0.0.5"
            $0.port = 6380
            $0.db = 2
        },
        Good("password by its old name", #"{"auth_pass":"s"}"#) { $0.password = "s" },
        Good("both names, same value", #"{"auth_pass":"s","password":"s"}"#) { $0.password = "s" },
        Good("ACL user", #"{"username":"u","password":"s"}"#) {
            $0.username = "u"
            $0.password = "s"
        },
        Good("null is absent", #"{"password":null,"port":null,"tls":null}"#) { _ in },
        Good("tls off", #"{"tls":false}"#) { _ in },
        Good("url", #"{"url":"redis://u:s@redis:7000/4"}"#) {
            $0.host = "redis"
            $0.port = 7000
            $0.db = 4
            $0.username = "u"
            $0.password = "s"
        },
        Good("url, rest beside", #"{"url":"redis://redis","db":3,"password":"s"}"#) {
            $0.host = "redis"
            $0.db = 3
            $0.password = "s"
        },
        Good("bounds", #"{"commandTimeoutSeconds":0.5,"connectTimeoutSeconds":3,"maxPendingCommands":99}"#) {
            $0.commandTimeoutSeconds = 0.5
            $0.connectTimeoutSeconds = 3
            $0.maxPendingCommands = 99
        },
        Good("more bounds", #"{"startTimeoutSeconds":9,"maxPendingBytes":65536,"maxReplyBytes":65537}"#) {
            $0.startTimeoutSeconds = 9
            $0.maxPendingBytes = 65_536
            $0.maxReplyBytes = 65_537
        },
        Good("node_redis options", #"{"retry_max_delay":5,"no_ready_check":true}"#) {
            $0.ignoredKeys = ["no_ready_check", "retry_max_delay"]
        },
        Good("path of a socket", #"{"path":"/run/redis.sock","db":2}"#) {
            $0.topology = .standalone(SocketAddress(host: "/run/redis.sock", port: 0))
            $0.db = 2
        },
        Good("sentinels as ioredis has them", #"{"sentinels":[{"host":"a","port":1},{"host":"b"}],"name":"m"}"#) {
            $0.topology = .sentinel(RedisSentinelAddress(places("a:1", "b:26379"), primary: "m"))
        },
        Good(
            "sentinels with words of their own",
            #"{"sentinels":["a:1","[::1]"],"primary":"m","name":"m","sentinelUsername":"u","sentinelPassword":"s"}"#
        ) {
            $0.topology = .sentinel(
                RedisSentinelAddress(places("a:1", "::1:26379"), primary: "m", username: "u", password: "s"))
        },
        Good("sentinels in one text", #"{"sentinels":"a:1,b","masterName":"m","db":3}"#) {
            $0.topology = .sentinel(RedisSentinelAddress(places("a:1", "b:26379"), primary: "m"))
            $0.db = 3
        },
        Good("cluster", #"{"cluster":["a:7000",{"host":"::1","port":7001},"c",{"host":"[::2]"}],"db":0}"#) {
            $0.topology = .cluster(seeds: places("a:7000", "::1:7001", "c:6379", "::2:6379"))
        },
        Good("what keys and names begin with", #"{"keyPrefix":"app:","clientName":"app"}"#) {
            $0.keyPrefix = "app:"
            $0.clientName = "app"
        },
        Good("url of sentinels, rest beside", #"{"url":"redis+sentinel://a/m/2","keyPrefix":"app:"}"#) {
            $0.topology = .sentinel(RedisSentinelAddress(places("a:26379"), primary: "m"))
            $0.db = 2
            $0.keyPrefix = "app:"
        },
        Good("other places with null", #"{"url":"redis://h","port":null,"sentinels":null}"#) { $0.host = "h" },
        Good("IPv6 host in brackets", #"{"host":"[::1]"}"#) { $0.host = "::1" },
        Good("IPv6 host", #"{"host":"fe80::1%eth0"}"#) { $0.host = "fe80::1%eth0" },
        Good("url with an IPv6 host", #"{"url":"redis://[::1]:7000"}"#) {
            $0.host = "::1"
            $0.port = 7000
        },
    ]

    @Test(arguments: good) func decodes(_ example: Good) throws {
        let decoded = try JSONDecoder().decode(RedisConfiguration.self, from: Data(example.json.utf8))
        #expect(decoded == example.expected)
    }

    static let bad = [
        (#"{"host":""}"#, "host"), (#"{"host":7}"#, "host"), (#"{"host":"a b"}"#, "host"),
        (#"{"host":"10.0.0.1:6379"}"#, "host"), (#"{"host":"[::1"}"#, "host"), (#"{"host":"[::1]:6379"}"#, "host"),
        (#"{"port":99999999999}"#, "port"),
        (#"{"commandTimeoutSeconds":1e300}"#, "commandTimeoutSeconds"),
        (#"{"startTimeoutSeconds":0}"#, "startTimeoutSeconds"), (#"{"maxPendingBytes":1}"#, "maxPendingBytes"),
        (#"{"port":"6379"}"#, "port"), (#"{"port":0}"#, "port"), (#"{"port":65536}"#, "port"),
        (#"{"db":-1}"#, "db"), (#"{"db":"a"}"#, "db"),
        (#"{"password":""}"#, "password"), (#"{"password":5}"#, "password"),
        (#"{"password":"a","auth_pass":"b"}"#, "auth_pass"), (#"{"username":[]}"#, "username"),
        (#"{"commandTimeoutSeconds":0}"#, "commandTimeoutSeconds"),
        (#"{"connectTimeoutSeconds":"1"}"#, "connectTimeoutSeconds"),
        (#"{"maxPendingCommands":1}"#, "maxPendingCommands"), (#"{"url":"http://x"}"#, "url"),
        (#"{"url":"redis://x","port":1}"#, "port"),
        (#"{"url":"redis://x","host":"y"}"#, "host"),
        (#"{"path":"redis.sock"}"#, "path"), (#"{"path":"/"}"#, "path"), (#"{"path":"/a","host":"h"}"#, "host"),
        (#"{"path":"/a","port":1}"#, "port"), (#"{"url":"redis://x","path":"/a"}"#, "path"),
        (#"{"url":"redis://x","primary":"m"}"#, "primary"), (#"{"url":"redis://x","cluster":["h"]}"#, "cluster"),
        (#"{"sentinels":["h"]}"#, "sentinels"), (#"{"sentinels":[],"primary":"m"}"#, "sentinels"),
        (#"{"sentinels":["h:0"],"primary":"m"}"#, "sentinels"), (#"{"sentinels":[5],"primary":"m"}"#, "sentinels"),
        (#"{"sentinels":[{"port":5}],"primary":"m"}"#, "sentinels"), (#"{"sentinels":"","primary":"m"}"#, "sentinels"),
        (#"{"sentinels":["h"],"primary":"m","name":"n"}"#, "name"),
        (#"{"sentinels":["h"],"primary":"m","host":"h"}"#, "host"),
        (#"{"sentinels":["h"],"primary":"m","cluster":["h"]}"#, "cluster"),
        (#"{"primary":"m"}"#, "primary"), (#"{"host":"h","sentinelPassword":"s"}"#, "sentinelPassword"),
        (#"{"cluster":["h"],"name":"m"}"#, "name"), (#"{"cluster":["a,b"]}"#, "cluster"),
        (#"{"cluster":[{"host":"a:1"}]}"#, "cluster"),
        (#"{"cluster":["h"],"db":1}"#, "db"), (#"{"url":"redis+cluster://h","db":1}"#, "db"),
        (#"{"keyPrefix":"{a}"}"#, "keyPrefix"), (#"{"keyPrefix":"a*"}"#, "keyPrefix"),
        (#"{"clientName":"a b"}"#, "clientName"), (#"{"clientName":""}"#, "clientName"),
        (#"{"tls":1}"#, "tls"), (#"{"url":"rediss://x","tls":false}"#, "tls"),
    ]

    @Test(arguments: bad) func refusesAndNamesTheKey(_ json: String, _ key: String) {
        let error = #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(RedisConfiguration.self, from: Data(json.utf8))
        }
        guard case .dataCorrupted(let context)? = error else {
            Issue.record("another kind of error")
            return
        }
        #expect(context.codingPath.last?.stringValue == key)
        #expect(context.debugDescription.hasPrefix("\"\(key)\" must be "))
    }

    static let refused = [
        ("nodes", #"["h"]"#, #"nodes of a cluster are named under "cluster""#),
        ("sentinel", #"["h"]"#, #"sentinels are named under "sentinels""#),
        ("socket", "{}", #"a place is "host" and "port", or the "path" of a Unix-domain socket"#),
        (
            "prefix", #""P:""#,
            #"what all keys begin with is "keyPrefix"; globalChannel.json and status.json have a "prefix""#
        ),
        (
            "hots", #""10.0.0.1""#,
            "no such key; known are: url, host, port, path, cluster, sentinels, primary, name, masterName, "
                + "sentinelUsername, sentinelPassword, db, username, password, auth_pass, keyPrefix, clientName, tls, "
                + "commandTimeoutSeconds, connectTimeoutSeconds, startTimeoutSeconds, maxPendingCommands, "
                + "maxPendingBytes, maxReplyBytes"
        ),
    ]

    /// A key that means nothing here would be found out when it matters: in an outage, or by what is missing.
    @Test(arguments: refused) func aKeyOfSomethingUnsupportedIsRefused(_ key: String, _ value: String, _ reason: String)
    {
        let error = #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(RedisConfiguration.self, from: Data(#"{"port":1,"\#(key)":\#(value)}"#.utf8))
        }
        guard case .dataCorrupted(let context)? = error else {
            Issue.record("another kind of error")
            return
        }
        #expect(context.debugDescription == "\"\(key)\": \(reason)")
    }

    @Test(arguments: [
        (#"{"tls":true}"#, TLSClientOptions()),
        (#"{"url":"rediss://u:secret@x"}"#, TLSClientOptions()),
        (#"{"url":"REDISS+cluster://x?ca=%2Fca.pem&verify=none&server_name=redis.example"}"#, known(verifies: false)),
        (#"{"tls":{"ca":"/ca.pem","serverName":"redis.example"}}"#, known(verifies: true)),
        // What the file says counts, as long as it is encrypted.
        (#"{"url":"rediss://x?ca=other","tls":{"ca":"/ca.pem","serverName":"redis.example"}}"#, known(verifies: true)),
    ])
    func anEncryptedPlaceSaysWhatIsBelieved(_ json: String, _ options: TLSClientOptions) throws {
        let read = try JSONDecoder().decode(RedisConfiguration.self, from: Data(json.utf8))
        #expect(read.tls == options)
    }

    private static func known(verifies: Bool) -> TLSClientOptions {
        var options = TLSClientOptions()
        (options.authorityFile, options.serverName, options.verifiesServer) = ("/ca.pem", "redis.example", verifies)
        return options
    }

    @Test(arguments: [
        (#"{"url":"redis://u:secret@x?ca=a"}"#, "the parameter \"ca\" is for rediss:// only"),
        (#"{"url":"rediss://u:secret@x?verify=maybe"}"#, "the parameter \"verify\" must be full or none"),
    ])
    func aWrongEncryptedAddressIsRefusedByItsPart(_ json: String, _ reason: String) throws {
        let error = #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(RedisConfiguration.self, from: Data(json.utf8))
        }
        guard case .dataCorrupted(let context)? = error else {
            Issue.record("another kind of error")
            return
        }
        #expect(context.debugDescription.hasSuffix(reason))
        #expect(!context.debugDescription.contains("secret"))
    }

    @Test func anAddressThatDoesNotFitIsRefusedByItsPart() throws {
        let error = #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(RedisConfiguration.self, from: Data(#"{"url":"redis://u:secret@x:many"}"#.utf8))
        }
        guard case .dataCorrupted(let context)? = error else {
            Issue.record("another kind of error")
            return
        }
        #expect(context.debugDescription.hasSuffix("host:port/db: the port is no number from 1 to 65535"))
        #expect(!context.debugDescription.contains("secret"))
    }

    /// Both keys of a contradiction are named, so that one knows which to take away.
    @Test(arguments: [
        (#"{"sentinels":["h"],"primary":"m","host":"h"}"#, #""host" must be absent when "sentinels" is given"#),
        (#"{"cluster":["h"],"path":"/a"}"#, #""path" must be absent when "cluster" is given"#),
        (#"{"url":"redis://h","sentinels":["h"]}"#, #""sentinels" must be absent when "url" is given"#),
        (#"{"primary":"m"}"#, #""primary" must be absent without "sentinels""#),
        (
            #"{"sentinels":["h"]}"#,
            #""sentinels" must be beside "primary", the name under which they watch a primary"#
        ),
        (#"{"cluster":["h"],"db":1}"#, #""db" must be 0 or absent when "cluster" names a cluster: it has no other"#),
        (
            #"{"cluster":["h","h:x"]}"#,
            #""cluster" must be a list of "host:port", or of {"host", "port"}: "#
                + "the port of host number 2 is no number from 1 to 65535"
        ),
    ]) func aContradictionNamesBothKeys(_ json: String, _ says: String) {
        let error = #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(RedisConfiguration.self, from: Data(json.utf8))
        }
        guard case .dataCorrupted(let context)? = error else {
            Issue.record("another kind of error")
            return
        }
        #expect(context.debugDescription == says)
    }

    @Test func aConfigurationIsReadFromAnAddressAlone() throws {
        let configuration = try RedisConfiguration(url: "redis+sentinel://u:s@a,b/m/2?key_prefix=app:")
        #expect("\(configuration)" == "m of the sentinels a:26379, b:26379, db 2")
        #expect(configuration.keyPrefix == "app:" && configuration.username == "u" && configuration.password == "s")
        #expect(throws: RedisURLError.self) { try RedisConfiguration(url: "redis+sentinel://u:s@a,b") }
    }

    @Test func passwordIsNotPrinted() {
        var configuration = RedisConfiguration(host: "h", port: 1)
        configuration.password = "secret"
        #expect("\(configuration)" == "h:1/0")
    }

    // MARK: values of a program

    /// A time that no file may name, and a number; each is tried for every key of its kind.
    static let times: [Double] = [.nan, .infinity, -.infinity, -1, 0, 1e300, .greatestFiniteMagnitude, 3601]
    static let numbers: [Int] = [.min, -1, 0]

    private static func set(_ value: Double, _ key: String) -> RedisConfiguration {
        var configuration = RedisConfiguration(host: "127.0.0.1", port: 1)
        switch key {
        case "commandTimeoutSeconds": configuration.commandTimeoutSeconds = value
        case "connectTimeoutSeconds": configuration.connectTimeoutSeconds = value
        default: configuration.startTimeoutSeconds = value
        }
        return configuration
    }

    private static func set(_ value: Int, _ key: String) -> RedisConfiguration {
        var configuration = RedisConfiguration(host: "127.0.0.1", port: 1)
        switch key {
        case "maxPendingCommands": configuration.maxPendingCommands = value
        case "maxPendingBytes": configuration.maxPendingBytes = value
        default: configuration.maxReplyBytes = value
        }
        return configuration
    }

    /// Neither a trap nor a guess: what a file would be refused for is an error of the start.
    @Loop private func expectRefusal(of configuration: RedisConfiguration, _ key: String) async {
        let client = RedisClient(configuration, logger: quiet)
        #expect(!client.control.isUp)
        let error = await failure { () throws(RedisError) in try await client.start() }
        #expect("\(error.map { "\($0)" } ?? "")".contains("\"\(key)\" must be"), "\(String(describing: error))")
        let connection = RedisConnection(configuration, logger: quiet)
        #expect(await failure { () throws(RedisError) in try await connection.start() } == error)
    }

    @Test(arguments: times, ["commandTimeoutSeconds", "connectTimeoutSeconds", "startTimeoutSeconds"])
    @Loop func aTimeThatCannotBeEndsTheStart(_ value: Double, _ key: String) async {
        await expectRefusal(of: Self.set(value, key), key)
        for topology in [
            RedisTopology.cluster(seeds: [SocketAddress(host: "127.0.0.1", port: 1)]),
            .sentinel(RedisSentinelAddress([SocketAddress(host: "127.0.0.1", port: 1)], primary: "m")),
        ] {
            var configuration = Self.set(value, key)
            configuration.topology = topology
            await expectRefusal(of: configuration, key)
        }
    }

    @Test(arguments: numbers, ["maxPendingCommands", "maxPendingBytes", "maxReplyBytes"])
    @Loop func aNumberThatCannotBeEndsTheStart(_ value: Int, _ key: String) async {
        await expectRefusal(of: Self.set(value, key), key)
    }

    @Test @Loop func aTextOrAPlaceThatCannotBeEndsTheStart() async {
        func changed(_ change: (inout RedisConfiguration) -> Void) -> RedisConfiguration {
            var configuration = RedisConfiguration(host: "127.0.0.1", port: 1)
            change(&configuration)
            return configuration
        }
        await expectRefusal(of: changed { $0.db = -1 }, "db")
        await expectRefusal(of: changed { $0.keyPrefix = "a{b}" }, "keyPrefix")
        await expectRefusal(of: changed { $0.clientName = "a b" }, "clientName")
        for port in [Int.min, -1, 65_536, .max] { await expectRefusal(of: changed { $0.port = port }, "port") }
        await expectRefusal(of: changed { $0.topology = .cluster(seeds: []) }, "cluster")
        await expectRefusal(
            of: changed { $0.topology = .sentinel(RedisSentinelAddress([], primary: "m")) }, "sentinels")
    }

    @Test @Loop func theLargestValuesAreNoTrap() async {
        var configuration = RedisConfiguration(host: "127.0.0.1", port: 1)
        configuration.commandTimeoutSeconds = 3600
        configuration.connectTimeoutSeconds = 0.001
        configuration.startTimeoutSeconds = 3600
        configuration.maxPendingCommands = .max
        configuration.maxPendingBytes = .max
        configuration.maxReplyBytes = .max
        let client = RedisClient(configuration, logger: quiet)
        let error = await failure { () throws(RedisError) in try await client.start(within: .seconds(Int64.max)) }
        #expect(error != nil)
        _ = await failure { () throws(RedisError) in try await client.send(RedisCommand("PING")) }
    }
}
