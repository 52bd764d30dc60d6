// SPDX-License-Identifier: MIT
public import PomeloBytes
public import PomeloJSON
import PomeloLoop
public import PomeloWire

/// The pomelo protocol, as the JavaScript client speaks it.
extension TestClient {
    /// Sends one package.
    public func send(package type: PacketType, _ body: Bytes = []) throws {
        send(try Packet.encode(type, body))
    }

    /// Sends the handshake, waits for the answer and, when it is 200, acknowledges it.
    ///
    /// - Returns: the server's answer.
    @discardableResult
    public func handshake(
        type: String = "js-websocket", version: String = "0.0.1", dictVersion: String? = nil,
        user: JSON? = [:],
        acknowledge: Bool = true
    ) async throws -> JSON {
        var sys: JSONObject = ["type": .string(type), "version": .string(version), "rsa": [:]]
        if let dictVersion { sys["dictVersion"] = .string(dictVersion) }
        var message: JSONObject = ["sys": .object(sys)]
        if let user { message["user"] = user }
        let before = handshakes.count
        try send(package: .handshake, JSON.object(message).encoded())
        let reply = try await wait(for: "the handshake answer") { handshakes.dropFirst(before).first }
        learn(reply)
        if acknowledge, reply["code"]?.int == 200 { try send(package: .handshakeAck) }
        return reply
    }

    private func learn(_ reply: JSON) {
        heartbeatInterval = reply["sys"]?["heartbeat"]?.double.map { .milliseconds(Int64($0 * 1000)) }
        guard let dictionary = reply["sys"]?["dict"]?.object else { return }
        for (route, code) in zip(dictionary.keys, dictionary.values) {
            guard let code = code.int.flatMap(UInt16.init(exactly:)) else { continue }
            codes[Text(route)] = code
            routes[code] = route
        }
    }

    /// Sends a request without waiting; returns its id.
    public func ask(_ route: String, _ body: Bytes) throws -> UInt32 {
        lastID += 1
        send(try Message.requestPacket(id: lastID, route: route, code: codes[Text(route)], body: body))
        return lastID
    }

    /// Waits for the answer to a request.
    public func answer(to id: UInt32) async throws -> Bytes {
        try await wait(for: "the answer to request \(id)") { responses.removeValue(forKey: id) }
    }

    /// Sends a request and waits for its answer.
    @discardableResult
    public func request(_ route: String, _ body: JSON = [:]) async throws -> JSON {
        try JSON.parse(try await answer(to: try ask(route, body.encoded())))
    }

    /// Sends a message that wants no answer.
    public func notify(_ route: String, _ body: JSON = [:]) throws {
        send(try Message.notifyPacket(route: route, code: codes[Text(route)], body: body.encoded()))
    }

    /// Waits for a push of this route, the oldest not yet taken.
    public func next(_ route: String) async throws -> JSON {
        let pushed = try await wait(for: "a push \(route)") {
            pushes.firstIndex { $0.route == route }.map { pushes.remove(at: $0) }
        }
        return try JSON.parse(pushed.body)
    }

    /// Waits for a kick and returns its body.
    public func kicked() async throws -> JSON { try await wait(for: "a kick") { kick } }

    // MARK: ContractClient

    /// Sends a request and waits for the body that answers it.
    ///
    /// - Throws: ``Failure`` when none comes in time, or the connection ends before.
    public func exchange(_ route: String, _ body: Bytes) async throws -> Bytes {
        let id = try ask(route, body)
        return try await wait(for: "the answer to \(route)") { responses.removeValue(forKey: id) }
    }

    /// Sends a message that wants no answer.
    ///
    /// - Throws: ``Failure`` when the connection has ended; `WireError` for what cannot be framed.
    public func tell(_ route: String, _ body: Bytes) throws {
        if let end { throw Failure(description: "the connection ended (\(end)) before \(route) was sent") }
        send(try Message.notifyPacket(route: route, code: codes[Text(route)], body: body))
    }

    /// Waits for a push of a route, and takes the oldest.
    ///
    /// - Throws: ``Failure``, naming what came instead.
    public func nextBody(of route: String, within limit: Duration) async throws -> Bytes {
        do {
            return try await wait(for: "a push \(route)", within: limit) {
                pushes.firstIndex { $0.route == route }.map { pushes.remove(at: $0).body }
            }
        } catch {
            let why = lostPushes > 0 ? "was kept, \(lostPushes) were too many" : "has come: \(error)"
            throw Failure(noPush: route, why, instead: pushes.map { ($0.route, $0.body) })
        }
    }

    /// Takes the pushes of a route that are there, in the order in which they came.
    public func takeBodies(of route: String) -> [Bytes] {
        defer { pushes.removeAll { $0.route == route } }
        return pushes.filter { $0.route == route }.map(\.body)
    }

    // MARK: receiving

    func accept(_ type: PacketType, _ body: Span<UInt8>) {
        switch type {
        case .handshake: handshakes.append(parse(body))
        case .handshakeAck: break
        case .heartbeat: heartbeat()
        case .kick: kick = parse(body)
        case .data: message(body)
        }
    }

    private func parse(_ body: Span<UInt8>) -> JSON {
        do {
            return try JSON.parse(body)
        } catch {
            return .string("not JSON: \(error)")
        }
    }

    private func message(_ bytes: Span<UInt8>) {
        do {
            let head = try MessageHead.decode(bytes)
            if head.kind == .response {
                responses[head.id] = head.body(in: bytes)
            } else {
                let route = try head.routeCode.map { routes[$0] ?? "#\($0)" } ?? head.route(in: bytes)
                keep(Pushed(route: route, body: head.body(in: bytes)))
            }
        } catch {
            keep(Pushed(route: "malformed", body: []))
        }
    }

    private func keep(_ push: Pushed) {
        if pushes.count < Self.maxPushes { pushes.append(push) } else { lostPushes += 1 }
    }

    private func heartbeat() {
        heartbeats += 1
        guard sendsHeartbeats, let heartbeatInterval else { return }
        _ = clock.schedule(after: heartbeatInterval) { [weak self] in
            guard let self, self.end == nil, self.sendsHeartbeats else { return }
            self.send(Packet.heartbeat)
        }
    }
}
