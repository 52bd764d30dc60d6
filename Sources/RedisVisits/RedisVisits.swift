// SPDX-License-Identifier: MIT
//
// RedisVisits: the Redis client without anything else, see the article "Use PomeloRedis alone".
import Foundation
import PomeloLoop
import PomeloRedis

@main struct RedisVisits {
    static func main() async {
        do {
            try await visit(CommandLine.arguments.dropFirst().first ?? "redis://127.0.0.1:6379")
        } catch {
            // Thrown on, it would be a crash, and its report longer than a screen.
            print("error: \(error)")
            exit(1)
        }
    }

    @Loop static func visit(_ url: String) async throws {
        let redis = RedisClient(try RedisConfiguration(url: url), name: "visits")
        try await redis.start()

        let news = try await redis.messages(on: ["visits"])
        let (visits, isFirst, last) = try await redis.pipeline(
            RedisCommand("INCR", "visits").returning(Int.self),
            RedisCommand("SET", "visits:first", "now", "NX").returning(Bool.self),
            RedisCommand("GET", "visits:last").returning(String?.self))
        print("visit \(try visits.get()), the first: \(try isFirst.get()), before: \(try last.get() ?? "nobody")")

        let note = RedisScript(
            name: "note", source: "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('STRLEN', KEYS[1])")
        let length = try await redis.call(note.call(keys: ["visits:last"], args: ["me"], returning: Int.self))
        try await redis.send(RedisCommand("PUBLISH", "visits", "noted \(length) letters"))

        for await event in news {
            switch event {
            case .message(_, let payload): print(String(decoding: payload, as: UTF8.self))
            case .gap(let channels): print("missed something on \(channels)")
            }
            break
        }
        await redis.stop()
    }
}
