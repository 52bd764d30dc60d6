// SPDX-License-Identifier: MIT
import PomeloGlobalChannel
import PomeloLoop
import PomeloStatus
import PomeloTesting

@testable import PomeloCore

/// What must hold.
extension ClusterSimulation {
    private func open(at frontend: ServerID) -> [Client] {
        clients.filter { $0.frontend == frontend && !$0.socket.isClosed }
    }

    /// After every step.
    func checkAlways() {
        for frontend in connectors where isUp(frontend) {
            let bound = Set(open(at: frontend).compactMap { $0.socket.session?.uid })
            for room in Self.rooms {
                for uid in owned(room, at: frontend) where !bound.contains(uid) {
                    fail("\(uid) is a member of \(room) at \(frontend) without a live session")
                }
            }
        }
        if mustHaveOneHolder { checkOneSessionPerUser() }
        checkRoutes()
        checkDeliveries()
        for violation in cluster.network.violations { fail(violation) }
    }

    func isUp(_ id: ServerID) -> Bool {
        cluster.running.contains(id) && cluster[id].state == .running
    }

    /// A holder that does not answer loses its user by design, and one whose binding was lost may.
    private var mustHaveOneHolder: Bool { !hasNetworkFaults && !storage.hasForgotten }

    private func checkOneSessionPerUser() {
        for uid in Self.users {
            let holders = clients.filter { !$0.socket.isClosed && $0.socket.session?.uid == uid }
            if holders.count > 1 { fail("\(uid) is bound at \(holders.map(\.frontend)) at once") }
        }
    }

    /// Nobody is sent to a suspect while another server of the type is up.
    private func checkRoutes() {
        for frontend in connectors where isUp(frontend) {
            let servers = cluster[frontend].servers
            guard servers.up("chat").contains(where: { !servers.isSuspect($0.id) }) else { continue }
            for client in open(at: frontend) {
                guard let session = client.socket.session else { continue }
                do {
                    let copy = cluster[frontend].backendSessionService.copy(of: session)
                    let chosen = try cluster[frontend].router.pick("chat", for: copy)
                    if servers.isSuspect(chosen) { fail("\(frontend) sends \(session.id) to \(chosen), a suspect") }
                } catch {
                    fail("\(frontend) sends \(session.id) nowhere: \(error)")
                }
            }
        }
    }

    private func checkDeliveries() {
        for client in clients {
            let texts = client.socket.pushes.filter { $0.route == Self.say.route }.map(\.text)
            if Set(texts).count != texts.count { fail("a message came twice to \(client.socket.remoteAddress)") }
            for id in client.requests where (client.socket.answers[id] ?? []).count > 1 {
                fail("request \(id) of \(client.socket.remoteAddress) was answered twice")
            }
        }
    }

    /// When everything has healed.
    func checkInTheEnd() {
        for id in cluster.running { note("\(id) is \(cluster[id].state)") }
        checkAlways()
        checkOneSessionPerUser()
        for client in clients where !client.socket.isClosed {
            for id in client.requests where client.socket.answers[id] == nil {
                fail("request \(id) of \(client.socket.remoteAddress) was never answered")
            }
        }
        if cluster.network.callsInFlight != 0 { fail("\(cluster.network.callsInFlight) calls never ended") }
        for id in cluster.running where isUp(id) && storage.inFlight(id) != 0 {
            fail("\(storage.inFlight(id)) calls to the store of \(id) never ended")
        }
        checkPublishedChannels()
        checkPublishedStatus()
        checkLists()
    }

    private func checkPublishedChannels() {
        let storage = storage
        for frontend in connectors {
            for room in Self.rooms {
                let published = ask { try await storage.channels().members(of: room, at: frontend) } ?? []
                let expected = isUp(frontend) ? owned(room, at: frontend) : []
                if published != expected {
                    fail("\(room) at \(frontend) is published as \(published), and is \(expected)")
                }
            }
            if isUp(frontend), cluster[frontend].globalChannel.backlog != 0 {
                fail("\(frontend) has channels it did not publish")
            }
        }
    }

    private func checkPublishedStatus() {
        let (store, storage) = (storage.statuses, storage)
        for uid in Self.users {
            let holders = clients.filter { !$0.socket.isClosed && $0.socket.session?.uid == uid }
            let expected = Set(holders.map(\.frontend)).sorted()
            let published = ask { try await store.servers(of: [uid]).first ?? [] } ?? []
            if published != expected { fail("\(uid) is published at \(published), and is at \(expected)") }
            let holder = ask { try await storage.holder(of: uid) } ?? nil
            if let holder, !expected.contains(holder) { fail("\(uid) is at \(expected), and held by \(holder)") }
            if mustHaveOneHolder, !holders.isEmpty, holder == nil {
                fail("\(uid) is at \(expected), and held by nobody")
            }
        }
    }
}
