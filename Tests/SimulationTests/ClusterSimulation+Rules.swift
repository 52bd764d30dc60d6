// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloGlobalChannel
import PomeloLoop
import PomeloStatus
import PomeloTesting

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
        if !hasNetworkFaults { checkOneHolder() }
        checkDeliveries()
        for violation in cluster.network.violations { fail(violation) }
    }

    private func isUp(_ id: ServerID) -> Bool {
        cluster.running.contains(id) && cluster[id].state == .running
    }

    private func checkOneHolder() {
        for uid in Self.users {
            let holders = clients.filter { !$0.socket.isClosed && $0.socket.session?.uid == uid }
            if holders.count > 1 { fail("\(uid) is bound at \(holders.map(\.frontend)) at once") }
        }
    }

    private func checkDeliveries() {
        for client in clients {
            let texts = client.socket.pushes.map(\.text)
            if Set(texts).count != texts.count { fail("a message came twice to \(client.socket.remoteAddress)") }
            for id in client.requests where (client.socket.answers[id] ?? []).count > 1 {
                fail("request \(id) of \(client.socket.remoteAddress) was answered twice")
            }
        }
    }

    /// When everything has healed.
    func checkInTheEnd() {
        checkAlways()
        for client in clients where !client.socket.isClosed {
            for id in client.requests where client.socket.answers[id] == nil {
                fail("request \(id) of \(client.socket.remoteAddress) was never answered")
            }
        }
        if cluster.network.callsInFlight != 0 { fail("\(cluster.network.callsInFlight) calls never ended") }
        for (id, fault) in faults where isUp(id) && fault.inFlight != 0 {
            fail("\(fault.inFlight) calls to the store of \(id) never ended")
        }
        checkPublishedChannels()
        checkPublishedStatus()
    }

    private func checkPublishedChannels() {
        let store = MemoryChannelStore(channelEntries)
        for frontend in connectors {
            for room in Self.rooms {
                let published = store.members(of: room, at: frontend)
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
        let store = MemoryStatusStore(statusEntries)
        for uid in Self.users {
            let holders = clients.filter { !$0.socket.isClosed && $0.socket.session?.uid == uid }
            let expected = Set(holders.map(\.frontend)).sorted()
            let published = store.servers(of: [uid]).first ?? []
            if published != expected { fail("\(uid) is published at \(published), and is at \(expected)") }
            let holder = statusEntries.holder(of: uid)
            if holders.isEmpty, holder != nil { fail("\(uid) is nowhere, and held by \(holder?.server ?? "")") }
            if let holder, !holders.isEmpty, !expected.contains(holder.server) {
                fail("\(uid) is at \(expected), and held by \(holder.server)")
            }
            // One that did not answer has lost the user to another, who may have gone since.
            if !hasNetworkFaults, !holders.isEmpty, holder == nil {
                fail("\(uid) is at \(expected), and held by nobody")
            }
        }
    }
}
