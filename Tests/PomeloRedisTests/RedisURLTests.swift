// SPDX-License-Identifier: MIT
import PomeloLoop
import Testing

@testable import PomeloRedis

/// One address says it all, and one that is wrong says what is wrong with it.
@Suite struct RedisURLTests {
    struct Example: Sendable, CustomTestStringConvertible {
        let url: String
        let reads: String
        var testDescription: String { url }

        init(_ url: String, _ reads: String) { (self.url, self.reads) = (url, reads) }
    }

    static let good = [
        Example("redis://h", "h:6379"),
        Example("REDIS://h:1/2", "h:1 db=2"),
        Example("redis://u:p@h:1/2", "h:1 db=2 u:p"),
        Example("redis://:p%40%3A%2f@h", "h:6379 :p@:/"),
        Example("redis://u@h", "h:6379 u:"),
        Example("redis://u:p@q@[::1]:7/", "[::1]:7 u:p@q"),
        Example("redis://u:p/q@h", "h:6379 u:p/q"),
        Example("redis://[fe80::1%eth0]/3", "[fe80::1%eth0]:6379 db=3"),
        Example("redis://h?db=4&client_name=app&key_prefix=app%3A", "h:6379 db=4 name=app prefix=app:"),
        Example("redis+unix:///run/redis.sock", "/run/redis.sock"),
        Example("unix:///run/redis.sock", "/run/redis.sock"),
        Example("redis+unix://u:p@/run/a%20b@c.sock?db=1", "/run/a b@c.sock db=1 u:p"),
        Example("redis+sentinel://h/m", "m of the sentinels h:26379"),
        Example(
            "redis+sentinel://u:p@h1:1,[::1],h3/my%2Fmaster/3?sentinel_user=su&sentinel_password=s%26p@",
            "my/master of the sentinels h1:1, [::1]:26379, h3:26379 db=3 u:p sentinel=su:s&p@"
        ),
        Example("redis+cluster://u:p@h1,h2:7000,h3", "the cluster of h1:6379, h2:7000, h3:6379 u:p"),
        Example("redis+cluster://h1/0", "the cluster of h1:6379 db=0"),
    ]

    @Test(arguments: good) func anAddressIsRead(_ example: Example) throws {
        let url = try RedisURL(example.url)
        var reads = ["\(url.topology)"]
        if let db = url.db { reads.append("db=\(db)") }
        if url.username != nil || url.password != nil { reads.append("\(url.username ?? ""):\(url.password ?? "")") }
        if let name = url.clientName { reads.append("name=\(name)") }
        if let prefix = url.keyPrefix { reads.append("prefix=\(prefix)") }
        if case .sentinel(let address) = url.topology, let user = address.username {
            reads.append("sentinel=\(user):\(address.password ?? "")")
        }
        #expect(reads.joined(separator: " ") == example.reads)
    }

    static let bad = [
        Example("", "scheme"), Example("h:6379", "scheme"), Example("http://h", "scheme"),
        Example("redis:/h", "scheme"), Example("rediss+unix://u:secret@/a", "scheme"),
        Example("rediss://u:secret@h?verify=x", #"parameter "verify""#),
        Example("redis://h?ca=secret", #"parameter "ca""#),
        Example("redis://", "host"), Example("redis://::1", "host"), Example("redis://[::1", "host"),
        Example("redis://[h]:7", "host"), Example("redis://a:b:6379", "host"), Example("redis://[::1]7", "host"),
        Example("redis://h1,h2", "host"), Example("redis://a b", "host"),
        Example("redis://h:", "port"), Example("redis://h:0", "port"), Example("redis://h:65536", "port"),
        Example("redis://h:+1", "port"), Example("redis://h:six", "port"),
        Example("redis://h/x", "db"), Example("redis://h/-1", "db"), Example("redis://h/1/2", "db"),
        Example("redis://h/99999999999999999999", "db"),
        Example("redis://%zz:secret@h", "user"), Example("redis://%ff:secret@h", "user"),
        Example("redis://u:secret%@h", "password"), Example("redis://u:secret%+1@h", "password"),
        Example("redis://u:secret%c3@h", "password"),
        Example("redis+unix://run/redis.sock", "path"), Example("redis+unix://u:secret@h/a", "path"),
        Example("redis+unix:///", "path"), Example("redis+unix://", "path"), Example("redis+unix:///a%00b", "path"),
        Example("redis+sentinel://h1,,h3/m", "host number 2"), Example("redis+sentinel://", "host number 1"),
        Example("redis+sentinel://h1,h2:x/m", "port of host number 2"),
        Example("redis+sentinel://h", "primary's name"), Example("redis+sentinel://h//0", "primary's name"),
        Example("redis+sentinel://h/m/x", "db"),
        Example("redis+cluster://h1,h 2", "host number 2"),
        Example("redis+cluster://h1:70000", "port of host number 1"),
        Example("redis+cluster://h/1", "db"), Example("redis+cluster://h?db=1", #"parameter "db""#),
        Example("redis://h/1?db=1", #"parameter "db""#), Example("redis://h?db=", #"parameter "db""#),
        Example("redis://h?db=1&db=1", #"parameter "db""#), Example("redis://h?db=x", #"parameter "db""#),
        Example("redis://h?client_name=a%20b", #"parameter "client_name""#),
        Example("redis://h?key_prefix={a}", #"parameter "key_prefix""#),
        Example("redis://h?db=1&secret=1", "parameter number 2"), Example("redis://h?&db=1", "parameter number 1"),
        Example("redis://h?sentinel_user=u", #"parameter "sentinel_user""#),
    ]

    @Test(arguments: bad) func aWrongAddressNamesItsPart(_ example: Example) throws {
        let error = try #require(throws: RedisURLError.self) { try RedisURL(example.url) }
        #expect(error.part == example.reads)
        #expect(error.description.hasPrefix("the \(error.part) "))
        #expect(!error.description.contains("secret"))
    }

    static let parts: Set = [
        "scheme", "user", "password", "host", "port", "path", "primary's name", "db", #"parameter "db""#,
        #"parameter "client_name""#, #"parameter "key_prefix""#, #"parameter "sentinel_user""#,
        #"parameter "sentinel_password""#, #"parameter "ca""#, #"parameter "cert""#, #"parameter "key""#,
        #"parameter "server_name""#, #"parameter "verify""#, "host number", "port of host number", "parameter number",
    ]

    /// Whatever is made of an address by chance is read or refused, and never shown: it may hold a password.
    @Test func noAddressTrapsAndEveryRefusalNamesAPart() {
        var random = SplitMix64(seed: 12)
        let pieces = Array("redis+sentinelclusterunix:/@?&=%,[]#0123456789 \u{301}é\u{0}".utf8)
        var (read, refused) = (0, 0)
        for round in 0..<20_000 {
            let start = Self.good[round % Self.good.count].url
            var bytes = Array(start.utf8)
            for _ in 0...(random.next() % 4) {
                let at = Int(random.next() % UInt64(bytes.count + 1))
                let piece = pieces[Int(random.next() % UInt64(pieces.count))]
                switch random.next() % 3 {
                case 0: bytes.insert(piece, at: at)
                case 1 where at < bytes.count: bytes[at] = piece
                case 2 where at < bytes.count: bytes.remove(at: at)
                default: bytes = Array(bytes.prefix(at) + Array(start.utf8).suffix(Int(random.next() % 20)))
                }
            }
            do throws(RedisURLError) {
                _ = try RedisURL(String(decoding: bytes, as: UTF8.self))
                read += 1
            } catch {
                refused += 1
                let part = String(error.part.reversed().drop { $0.isNumber }.reversed())
                let name = part.hasSuffix(" ") ? String(part.dropLast()) : part
                #expect(Self.parts.contains(name), "\(error)")
            }
        }
        #expect(read > 1000 && refused > 1000)
    }
}
