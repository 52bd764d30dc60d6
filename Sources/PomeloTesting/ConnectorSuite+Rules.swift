// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop

extension ConnectorSuite {
    // MARK: starting and stopping

    func oneSession(_ server: Server) async throws {
        let (first, _) = try await server.client()
        let (_, _) = try await server.client()
        try expect("sessions of two clients", server.host.sessions.count, 2)
        for _ in 0..<3 { try await first.roundTrip() }
        try expect("sessions after some messages", server.host.sessions.count, 2)
    }

    func restarts(_ server: Server) async throws {
        let address = server.connector.localAddress
        let (client, _) = try await server.client()
        for _ in 0..<2 {
            await server.stop()
            try await untilEnded(client)
            try await server.connector.start(server.host, context(of: server, at: address))
            let (again, _) = try await server.client()
            again.close()
        }
        let other = try await afterStop(of: server, at: address)
        _ = try await other.client()
        await other.stop()
    }

    private func context(of server: Server, at address: SocketAddress?) -> ConnectorContext {
        ConnectorContext(
            network: server.context.network, clock: server.context.clock, random: server.context.random,
            address: address ?? server.context.address, tls: server.context.tls)
    }

    private func afterStop(of server: Server, at address: SocketAddress?) async throws -> Server {
        await server.stop()
        return try await Server.start(world, at: address)
    }

    func addressInUse(_ server: Server) async throws {
        let second: Server
        do {
            second = try await Server.start(world, at: server.connector.localAddress)
        } catch {
            // And the first one is not disturbed.
            _ = try await server.client()
            return
        }
        await second.stop()
        throw SuiteFailure("a connector started where another listens")
    }

    func stopClosesAll(_ server: Server) async throws {
        var clients: [any ConnectorClient] = []
        for _ in 0..<3 { clients.append(try await server.client().0) }
        await server.stop()
        try expect("sessions that ended with the stop", server.host.ends, [.stopped, .stopped, .stopped])
        for client in clients { try await untilEnded(client) }
        do {
            let late = try await server.connect()
            try await late.roundTrip()
        } catch {
            return
        }
        throw SuiteFailure("a stopped connector served a client")
    }

    private func untilEnded(_ client: any ConnectorClient) async throws {
        while try await client.next() != .ended {}
    }

    // MARK: messages

    func requestAndNotify(_ server: Server) async throws {
        let (client, session) = try await server.client()
        let body = "{\"text\":\"é 中 \\u0000 \\\" {\",\"list\":[1,2.5,null]}"
        client.write(
            try client.encode(ClientMessage(id: 0, route: Route("suite.handler.tell"), body: Bytes(body.utf8))))
        client.write(try client.request(7, body))
        try expect("the answer", try await client.next(), .response(7, Bytes(body.utf8)))
        let heard = server.host.messages.suffix(2)
        try expect("ids", heard.map(\.id), [0, 7])
        try expect("routes", heard.map(\.route.text), ["suite.handler.tell", "suite.handler.echo"])
        try expect("bodies", heard.map(\.body), [Bytes(body.utf8), Bytes(body.utf8)])
        try expect("the session's socket is open", session.socket.push(try message(1)), true)
    }

    private func message(_ number: Int, padding: Int = 0) throws -> PushMessage {
        let text = String(repeating: "x", count: padding)
        return try PushMessage(route: "onSuite", body: Bytes("{\"number\":\(number),\"text\":\"\(text)\"}".utf8))
    }

    func push(_ server: Server) async throws {
        var clients: [any ConnectorClient] = []
        for _ in 0..<3 { clients.append(try await server.client().0) }
        for number in 0..<5 {
            let message = try message(number)
            for session in server.host.sessions.values { try expect("a push", session.socket.push(message), true) }
        }
        for client in clients {
            for number in 0..<5 {
                let message = try message(number)
                try expect("push \(number)", try await client.next(), .push(message.route, message.body))
            }
        }
    }

    func kick(_ server: Server) async throws {
        let (client, session) = try await server.client()
        session.socket.push(try message(1))
        session.socket.close(kick: "too loud")
        try expect("the end that the core is told", server.host.ends, [.kicked("too loud")])
        try expect("what came before the kick", try await client.next(), .push("onSuite", try message(1).body))
        let event = try await client.next()
        guard case .kicked(let reason) = event, reason.contains("too loud") else {
            throw SuiteFailure("instead of a kick: \(event)")
        }
        try expect("after the kick", try await client.next(), .ended)
    }

    func pieces(_ server: Server) async throws {
        let (client, _) = try await server.client()
        let bytes = try client.request(1, "{\"a\":1}") + client.request(2, "{\"b\":2}")
        for byte in bytes {
            client.write([byte])
            await Loop.yield()
        }
        try expect("the first of two in pieces", try await client.next(), .response(1, Bytes("{\"a\":1}".utf8)))
        try expect("the second", try await client.next(), .response(2, Bytes("{\"b\":2}".utf8)))
        for cut in 1..<bytes.count {
            client.write(Bytes(bytes[..<cut]))
            // Another client's round trip lets the first part arrive alone.
            for _ in 0..<2 { await Loop.yield() }
            client.write(Bytes(bytes[cut...]))
            try expect("cut at \(cut)", try await client.next(), .response(1, Bytes("{\"a\":1}".utf8)))
            try expect("cut at \(cut)", try await client.next(), .response(2, Bytes("{\"b\":2}".utf8)))
        }
    }

    func joinedInOrder(_ server: Server) async throws {
        let (client, _) = try await server.client()
        server.host.onMessage = { message, session in
            do { session.socket.push(try self.message(Int(message.id))) } catch {}
        }
        var bytes: Bytes = []
        for id in 1...300 { bytes += try client.request(UInt32(id), "{\"id\":\(id)}") }
        client.write(bytes)
        for id in 1...300 {
            try expect("before answer \(id)", try await client.next(), .push("onSuite", try message(id).body))
            let answer = ConnectorClientEvent.response(UInt32(id), Bytes("{\"id\":\(id)}".utf8))
            try expect("answer \(id)", try await client.next(), answer)
        }
    }

    func manyClients(_ server: Server) async throws {
        var clients: [any ConnectorClient] = []
        for _ in 0..<50 { clients.append(try await server.client().0) }
        for (number, client) in clients.enumerated() {
            client.write(try client.request(1, "\(number)") + client.request(2, "\(number)"))
        }
        for (number, client) in clients.enumerated() {
            for id: UInt32 in 1...2 {
                try expect("client \(number)", try await client.next(), .response(id, Bytes("\(number)".utf8)))
            }
        }
    }

    // MARK: bounds

    func slowReader(_ server: Server) async throws {
        let (slow, session) = try await server.client()
        let (other, _) = try await server.client()
        slow.stopReading()
        var (pushed, most) = (0, 0)
        let size = 64 * 1024
        while session.socket.push(try message(pushed, padding: size)) {
            pushed += 1
            most = max(most, session.socket.queuedBytes)
            guard pushed < 4096 else { throw SuiteFailure("a client that reads nothing was sent 256 MiB") }
            await Loop.yield()
        }
        if most > Self.maxOutboundBytes + 2 * size { throw SuiteFailure("\(most) bytes waited for a slow client") }
        try await server.wait(for: "the end of a slow client") { server.host.sessions.count == 1 }
        try expect("a push to who is gone", session.socket.push(try message(0)), false)
        try await other.roundTrip()
        slow.close()
    }

    func pauses(_ server: Server) async throws {
        let (client, session) = try await server.client()
        let (other, _) = try await server.client()
        let before = server.host.messages.count
        server.host.onMessage = { message, session in if message.id == 1 { session.socket.pauseReading() } }
        client.write(try client.request(1) + client.request(2) + client.request(3))
        try expect("the first answer", try await client.next(), .response(1, Bytes("{}".utf8)))
        client.write(try client.request(4))
        for _ in 0..<5 { try await other.roundTrip() }
        try expect("what a paused client said", server.host.messages.count - before, 1 + 5)
        session.socket.resumeReading()
        for id: UInt32 in 2...4 { try expect("then", try await client.next(), .response(id, Bytes("{}".utf8))) }
        try await client.roundTrip()
    }

    func maxConnections(_ server: Server) async throws {
        let (first, _) = try await server.client()
        let (second, _) = try await server.client()
        let third = FirstOutcome<Bool>()
        Loop.spawn {
            do {
                try await server.connect().roundTrip()
                third.end(with: true)
            } catch {
                third.end(with: false)
            }
        }
        for _ in 0..<20 { try await second.roundTrip() }
        first.close()
        // One who was turned away comes again.
        if await !third.wait() { _ = try await server.client() }
        try await second.roundTrip()
        try expect("most sessions at once", server.host.most, 2)
    }

    // MARK: ends

    func clientLeaves(_ server: Server) async throws {
        let (client, session) = try await server.client()
        let (other, _) = try await server.client()
        client.close()
        try await server.wait(for: "the end of a client that left") { server.host.ends.count == 1 }
        try expect("a push to who has left", session.socket.push(try message(1)), false)
        session.socket.respond(id: 1, body: [])
        session.socket.close(kick: "late")
        try await other.roundTrip()
        try expect("ends", server.host.ends.count, 1)
    }

    func serverCloses(_ server: Server) async throws {
        let (client, session) = try await server.client()
        client.write(try client.request(1))
        try expect("an answer", try await client.next(), .response(1, Bytes("{}".utf8)))
        session.socket.close(kick: nil)
        try expect("ends at once", server.host.ends.count, 1)
        client.write(try client.request(2))
        try await untilEnded(client)
        try expect("ends", server.host.ends.count, 1)
    }

    func oneEnd(_ server: Server) async throws {
        let (client, session) = try await server.client()
        let (other, _) = try await server.client()
        client.write(try client.request(2))
        client.close()
        session.socket.close(kick: "now")
        session.socket.close(kick: "again")
        session.socket.close(kick: nil)
        for _ in 0..<5 { try await other.roundTrip() }
        try expect("ends", server.host.ends, [.kicked("now")])
    }

    func hostileBytes(_ server: Server) async throws {
        let (innocent, _) = try await server.client()
        let random = RandomSource(seed: 11)
        for round in 0..<40 {
            var bytes = (0..<(1 + Int(random.next() % 600))).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            let stream = try await server.world.dial(server.connector)
            if round % 2 == 0 {
                stream.write(bytes)
            } else {
                // Nearly right: one message with a byte of it changed, then the beginning of another.
                let client = try await server.connect()
                bytes = try client.request(1, "{\"a\":[1,2,3]}")
                let place = Int(random.next() % UInt64(bytes.count))
                bytes[place] ^= UInt8(1 + random.next() % 255)
                client.write(bytes + (try client.request(2)).prefix(5))
                if round % 4 == 1 { client.close() }
            }
            if round % 3 == 0 { stream.close() }
            try await innocent.roundTrip()
        }
    }
}
