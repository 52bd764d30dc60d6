// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting

/// One step: something a client does, or something that breaks or is mended.
extension ClusterSimulation {
    func act() {
        if chance(5) { return breakSomething() }
        if chance(8) { return mendSomething() }
        if chance(1) { return stopSomething() }
        let open = clients.filter { !$0.socket.isClosed && !paused.contains($0.frontend) }
        guard let client = pick(open), open.count > 4 || !chance(40) else { return connect() }
        if client.socket.session?.uid == nil, chance(60) { return enter(client) }
        let name = pick(Self.rooms) ?? "lobby"
        let room = JSON.string(name.rawValue)
        switch random.next() % 10 {
        case 0: enter(client)
        case 1, 2, 3: client.list(name, request(client, "chat.room.join", ["room": room]))
        case 4:
            client.lists[name] = nil
            request(client, "chat.room.leave", ["room": room])
        case 5, 6: request(client, "chat.room.send", ["room": room, "text": .string(nextMessage())])
        case 7:
            let uid = JSON.string((pick(Self.users) ?? "ann").rawValue)
            request(client, "chat.room.tell", ["uid": uid, "text": .string(nextMessage())])
        case 8:
            client.lists = [:]
            request(client, "connector.entry.unbind", [:])
        default:
            note("\(client.socket.remoteAddress) disconnects")
            client.socket.disconnect()
        }
    }

    private func enter(_ client: Client) {
        let uid = JSON.string((pick(Self.users) ?? "ann").rawValue)
        let room = pick(Self.rooms) ?? "lobby"
        // An entrance that fails may have been half executed, also that of somebody who is in already.
        client.list(room, request(client, "connector.entry.enter", ["uid": uid, "room": .string(room.rawValue)]))
    }

    private func connect() {
        guard let frontend = pick(connectors.filter { cluster.running.contains($0) && !paused.contains($0) }),
            let socket = cluster.connect(frontend)
        else { return }
        note("\(socket.remoteAddress) connects to \(frontend)")
        clients.append(Client(socket, frontend))
    }

    private func breakSomething() {
        let running = standing
        switch random.next() % 7 {
        case 6:
            if hasNetworkFaults, let id = pick(running), paused.insert(id).inserted {
                note("pause \(id)")
                cluster.pause(id)
            }
        case 0, 1:
            if let id = pick(running), running.count > 2 { crash(id) }
        case 2:
            if hasNetworkFaults, let id = pick(running) {
                note("freeze \(id)")
                cluster.network.freeze(id)
            }
        case 3:
            if hasNetworkFaults, let one = pick(running), let other = pick(running), one != other {
                note("partition \(one) \(other)")
                cluster.network.partition(one, other)
            }
        case 4:
            note("redis goes away")
            storage.goAway()
        default:
            note("redis misbehaves")
            storage.misbehave(&random)
        }
    }

    /// A server ends in order, whatever else goes on.
    private func stopSomething() {
        if let id = pick(standing), standing.count > 2 { stop(id) }
    }

    private func mendSomething() {
        if let id = pick(paused.sorted()) { resume(id) }
        // Some faults come while others heal, at any moment of it.
        if chance(40) {
            _ = cluster.clock.schedule(after: .milliseconds(Int64(random.next() % 3000))) { [weak self] in
                if let self, !self.isHealing { self.breakSomething() }
            }
        }
        switch random.next() % 4 {
        case 0: if let id = pick(crashed.sorted()) { start(id) }
        case 1:
            note("network heals")
            let loss = cluster.network.lossPerMille
            cluster.network.healAll()
            cluster.network.lossPerMille = loss
        default:
            note("redis comes back with \(storage.comeBack(&random))")
            cluster.redisReturned()
        }
    }

    func resume(_ id: ServerID) {
        guard paused.remove(id) != nil else { return }
        note("resume \(id)")
        cluster.resume(id)
    }
}
