// SPDX-License-Identifier: MIT
import PomeloLoop

/// Where the requests of one session for one type of server go, and how many are under way there.
///
/// A message must not overtake the one before it because a server has come, or another is back: while requests are
/// under way, the session stays with their server for as long as that is one of the choices. What the session itself
/// changes, its user or settings, counts at once.
@Loop final class ForwardLane {
    let type: ServerType
    fileprivate(set) var server: ServerID
    /// Among which the server was chosen.
    fileprivate var choices: [ServerInfo]
    private(set) var inFlight = 0

    init(_ type: ServerType, _ server: ServerID, _ choices: [ServerInfo]) {
        self.type = type
        self.server = server
        self.choices = choices
    }

    func begin() { inFlight += 1 }
    func end() { inFlight -= 1 }
}

extension Router {
    /// The lane of a session's next request, by a rule that does not wait.
    ///
    /// - Throws: as `pick(_:_:for:among:)`.
    func lane(of request: Request, _ client: ClientSession) throws -> ForwardLane {
        func pick(_ choices: [ServerInfo]) throws -> ServerID {
            try self.pick(request.route, request.body, for: request.session, among: choices)
        }
        let type = request.route.serverType
        let choices = try choices(type)
        let server = try pick(choices)
        var stays = false
        if let lane = client.disputed(type, server, choices) {
            do { stays = try pick(lane.choices) == lane.server } catch {}
        }
        return client.lane(type, server, choices, stays: stays)
    }

    /// The same by a rule that may wait: for one request of a session after the other.
    func laneWaiting(of request: Request, _ client: ClientSession, within limit: Duration) async throws -> ForwardLane {
        let type = request.route.serverType
        let end = clock.deadline(after: limit)
        func pick(_ choices: [ServerInfo]) async throws -> ServerID {
            try await pickWaiting(
                request.route, request.body, for: request.session, among: choices, within: clock.left(until: end))
        }
        let chosen = FirstOutcome<Void>()
        let before = client.choosing.updateValue(chosen, forKey: type)
        defer {
            if client.choosing[type] === chosen { client.choosing[type] = nil }
            chosen.end()
        }
        await before?.wait()
        let choices = try choices(type)
        let server = try await pick(choices)
        var stays = false
        // REENTRANCY: the lanes of this type are changed here alone, by one request at a time.
        if let lane = client.disputed(type, server, choices) {
            do { stays = try await pick(lane.choices) == lane.server } catch {}
        }
        return client.lane(type, server, choices, stays: stays)
    }
}

extension ClientSession {
    /// The lane with requests under way at another server than was chosen now, though theirs was among the choices: it
    /// stays theirs if only the choices make the difference.
    fileprivate func disputed(_ type: ServerType, _ server: ServerID, _ choices: [ServerInfo]) -> ForwardLane? {
        guard let index = place(of: type) else { return nil }
        let lane = lanes[index]
        guard lane.inFlight > 0, server != lane.server else { return nil }
        return choices.contains { $0.id == lane.server } ? lane : nil
    }

    fileprivate func lane(
        _ type: ServerType, _ server: ServerID, _ choices: [ServerInfo], stays: Bool
    ) -> ForwardLane {
        guard let index = place(of: type) else {
            let lane = ForwardLane(type, server, choices)
            lanes.append(lane)
            return lane
        }
        let lane = lanes[index]
        if stays { return lane }
        if lane.inFlight == 0 || server == lane.server {
            lane.server = server
            lane.choices = choices
            return lane
        }
        let next = ForwardLane(type, server, choices)
        lanes[index] = next
        return next
    }

    /// Where the lane of a type is; most sessions have one or two.
    private func place(of type: ServerType) -> Int? {
        for index in lanes.indices where lanes[index].type == type { return index }
        return nil
    }
}
