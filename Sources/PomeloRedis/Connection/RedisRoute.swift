// SPDX-License-Identifier: MIT
import PomeloLoop

/// A port that is connected and ended by its client.
@Loop protocol RedisRoute: RedisPort {
    /// Why a command cannot be sent now.
    var away: RedisError { get }
    /// Connects without waiting.
    func startInBackground()
    /// Connects, and waits; see `RedisClient.start`. After an error it is stopped.
    func start(within patience: Duration?) async throws(RedisError)
    /// Ends it; commands without a reply fail, later ones throw `.closed`.
    func stop() async
}

extension RedisConnection: RedisRoute {}
