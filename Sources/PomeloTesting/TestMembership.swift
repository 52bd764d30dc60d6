// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop

/// A place in the registry of a `TestCluster`.
@Loop final class TestMembership: Membership, Component {
    let name = "testMembership"
    private let record: ServerRecord
    /// Has this membership.
    private unowned let context: ServiceContext
    private let cluster: TestCluster
    private var cleaners: [any LeaseCleaner] = []
    private var publishers: [any LeasePublisher] = []
    private(set) var isJoined = false
    private var hasCleanedUp = false
    let health = MembershipHealth.healthy
    let lease = Duration.seconds(10)
    var isViewComplete: Bool { cluster.isViewComplete }

    init(_ context: ServiceContext, _ record: ServerRecord, _ cluster: TestCluster) {
        self.context = context
        self.record = record
        self.cluster = cluster
    }

    var instance: InstanceID { context.instance }
    func isAlive(_ server: ServerID, _ instance: InstanceID) async throws -> Bool {
        !cluster.hasForgottenAll && cluster.view.contains { $0.id == server && $0.instance == instance }
    }
    func everServers() async throws -> [ServerID] { cluster.everServers }
    func addCleaner(_ cleaner: any LeaseCleaner) { cleaners.append(cleaner) }
    func addPublisher(_ publisher: any LeasePublisher) { publishers.append(publisher) }

    func start() async throws {
        context.servers.add(cluster.view)
        enter(.joining)
        isJoined = true
    }

    /// When every service is there, as the cluster plugin does it.
    func afterStart() async throws {
        try await cleanUp(context.serverID, instance)
        hasCleanedUp = true
    }

    func didStart() async throws { enter(.up) }
    func willStop() async { enter(.draining) }

    func stop() async {
        isJoined = false
        // As the cluster plugin: what could not be removed is left to the others.
        if hasCleanedUp, !publishers.contains(where: \.isBehind) { cluster.leave(info(.draining)) }
    }

    func cleanUp(_ id: ServerID, _ instance: InstanceID) async throws {
        for cleaner in cleaners { try await cleaner.cleanUp(id, instance: instance) {} }
    }

    func redisReturned() async {
        for publisher in publishers { await publisher.redisReturned() }
    }

    private func enter(_ state: ServerState) { cluster.register(info(state)) }

    private func info(_ state: ServerState) -> ServerInfo {
        let services = cleaners.map(\.name).sorted()
        return ServerInfo(record: record, instance: context.instance, state: state, services: services)
    }
}
