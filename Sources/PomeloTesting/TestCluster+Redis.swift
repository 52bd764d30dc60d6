// SPDX-License-Identifier: MIT
import PomeloCluster
import PomeloCore
public import PomeloGlobalChannel
import PomeloLoop
public import PomeloStatus

extension TestCluster {
    /// Gives every server that is made from now on the plugins that publish in Redis, on one in memory: `Cluster`, in
    /// the place of the registry, `GlobalChannel` and `Status`.
    ///
    /// A plugin whose options are nil is left out; the master has `Cluster` alone. What option files say stands above
    /// the options given here. For plugins on some servers only, or options of `Cluster`, use them in `setUp`, on a
    /// `client()` of a `FakeRedis` of your own, in a cluster without a registry.
    ///
    /// With `isCluster` it is a Redis Cluster.
    ///
    /// - Returns: the Redis, for its faults and for a look at its data.
    /// - Precondition: no server has been made.
    @discardableResult
    public func useRedis(
        globalChannel: GlobalChannel.Options? = GlobalChannel.Options(), status: Status.Options? = Status.Options(),
        isCluster: Bool = false
    ) -> FakeRedis {
        precondition(running.isEmpty, "Redis is used before the first server is made")
        hasRegistry = false
        let redis = FakeRedis(clock: clock, random: RandomSource(seed: seed &+ 2), isCluster: isCluster)
        common = { app in
            let client = redis.client()
            try app.use(Cluster(redis: client, messages: client))
            if app.isMaster { return }
            if let globalChannel { try app.use(GlobalChannel(redis: client, options: globalChannel)) }
            if let status { try app.use(Status(redis: client, options: status)) }
        }
        return redis
    }
}
