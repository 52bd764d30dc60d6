// SPDX-License-Identifier: MIT
import Foundation
import PomeloRedis
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
        (#"{"tls":true}"#, "tls"), (#"{"tls":{}}"#, "tls"), (#"{"url":"REDISS://u:s@x"}"#, "url"),
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
        ("sentinels", #"[{"host":"h","port":26379}]"#, "Redis Sentinel is not supported: name the server itself"),
        ("cluster", "true", "Redis Cluster is not supported: name one server"),
        ("path", #""/run/redis.sock""#, #"connections are made over TCP only: give "host" and "port""#),
        ("prefix", #""P:""#, "it is an option of globalChannel.json and of status.json"),
        (
            "hots", #""10.0.0.1""#,
            "no such key; known are: host, port, db, username, password, auth_pass, url, tls, commandTimeoutSeconds, "
                + "connectTimeoutSeconds, startTimeoutSeconds, maxPendingCommands, maxPendingBytes, maxReplyBytes"
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

    @Test func anEncryptedAddressIsRefusedByItsReason() throws {
        let error = #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(RedisConfiguration.self, from: Data(#"{"url":"rediss://u:secret@x"}"#.utf8))
        }
        guard case .dataCorrupted(let context)? = error else {
            Issue.record("another kind of error")
            return
        }
        #expect(context.debugDescription.hasSuffix("encrypted connections (rediss://) are not supported"))
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
        #expect(context.debugDescription.hasSuffix("host:port/db: its port is no number from 1 to 65535"))
        #expect(!context.debugDescription.contains("secret"))
    }

    @Test func passwordIsNotPrinted() {
        var configuration = RedisConfiguration(host: "h", port: 1)
        configuration.password = "secret"
        #expect("\(configuration)" == "h:1/0")
    }
}
