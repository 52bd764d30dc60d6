// SPDX-License-Identifier: MIT
import Logging
import PomeloCore
import PomeloLoop
import PomeloRedis

/// Whether a Redis keeps what a journal is to survive.
@Loop enum JournalCheck {
    private static let asked = ["appendonly", "appendfsync", "maxmemory-policy"]

    /// Asks each node for its configuration, and warns of what may lose values.
    ///
    /// - Throws: `PomeloError` `.configuration` when the policy is `always` and a node does not write to disk
    ///   before it replies, or does not tell.
    static func run(_ redis: any RedisPort, _ policy: SyncPolicy, _ log: Logger) async throws {
        for node in redis.nodes {
            let values = await settings(of: node, log)
            let (isAppending, isAlways) = (values[0] == "yes", values[1] == "always")
            if policy == .always, !isAppending || !isAlways {
                throw PomeloError(
                    .configuration,
                    "sync: the policy \"always\" needs a Redis with appendonly yes and appendfsync always; "
                        + "this one has \(text(values[0])) and \(text(values[1]))")
            }
            if !isAppending {
                log.warning(
                    "sync: a restart of Redis loses its journal: appendonly is \(text(values[0]))")
            }
            if !values[2].isEmpty, values[2] != "noeviction" {
                log.warning("sync: a full Redis may evict journals: maxmemory-policy is \(values[2])")
            }
        }
    }

    /// What each is; empty when it is not told.
    private static func settings(of node: any RedisPort, _ log: Logger) async -> [String] {
        do {
            let replies = try await node.pipeline(asked.map { RedisCommand("CONFIG", "GET", $0) })
            return replies.map { $0.strings?.last ?? "" }
        } catch {
            log.debug("sync: redis does not tell its configuration: \(error)")
            return asked.map { _ in "" }
        }
    }

    private static func text(_ value: String) -> String { value.isEmpty ? "not told" : value }
}
