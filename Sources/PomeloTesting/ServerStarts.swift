// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloPublication

/// Starts of servers of one cluster, as far as a store needs them: each with an instance of its own.
@Loop final class ServerStarts {
    private var count = 0
    private var instances: [ServerID: InstanceID] = [:]

    /// A server has started, perhaps again.
    func start(_ server: ServerID) -> StoreOwner {
        count += 1
        let instance = InstanceID("start-\(count)")
        instances[server] = instance
        return StoreOwner(server: server, instance: instance, cluster: "pomelo")
    }

    /// The last start of a server; empty when there was none.
    func instance(of server: ServerID) -> InstanceID { instances[server] ?? "" }
}
