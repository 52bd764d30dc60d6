// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloExtensions
import PomeloJSON
import PomeloLoop

/// A plugin calls those who implement its own points.
///
/// | mode | who is asked | the answer |
/// |---|---|---|
/// | `single` | the first | its own, as it comes |
/// | `chain` | one after the other, each with the `data` of the one before | the last one's, or the first refusal |
/// | `fanout` | all at once | `{"ret": 0, "data": [{"plugin_id", "ret", "msg", "data"}]}` |
/// | `race` | all at once | the first whose `ret` is 0 |
///
/// The header `x-keel-addons: all` asks all of a `single` point, as `fanout`.
extension PluginRouter {
    func called(
        _ name: PointName, _ path: String, _ owner: PluginRecord, _ head: PluginHead, _ source: CallSource
    ) async throws(PluginAnswer) -> PluginDecision {
        guard let point = owner.identity.points.first(where: { $0.name == name }) else {
            throw PluginAnswer(404, "\(owner.id) has no point \(name.text.forLog)")
        }
        let implementers = follower.view.implementers(of: owner.id, name)
        guard let first = implementers.first else {
            throw PluginAnswer(404, "nobody implements \(name.text.forLog) of \(owner.id)")
        }
        let wantsAll = head.headers["x-keel-addons"]?.lowercased() == "all"
        let mode = point.mode == .single && wantsAll ? .fanout : point.mode
        if mode == .single {
            return .forward(
                try await forward(head, source, nil, to: first.id, first.path + path, isDirect: false))
        }
        return .work(limit: options.maxBodyBytes, within: Self.workPatience) { request in
            let round = PointRound(router: self, head: head, source: source, path: path, request: request)
            switch mode {
            case .chain: return await round.chain(implementers)
            case .race: return await round.race(implementers)
            case .single, .fanout: return await round.fanout(implementers)
            }
        }
    }
}

/// What several have answered until now.
@Loop private final class Answers {
    var byID: [PluginID: PluginAnswer] = [:]
}

/// One call of a point with several implementers.
@Loop private struct PointRound {
    private static let limit = 1 << 20
    let router: PluginRouter
    let head: PluginHead
    let source: CallSource
    let path: String
    let request: PluginRequest

    func chain(_ implementers: [PluginImplementation]) async -> PluginResponse {
        var body = request.body
        var last = PluginAnswer.ok()
        for implementer in implementers {
            last = await ask(implementer, body)
            guard last.ret == 0 else { break }
            if let data = last.data { body = data.encoded() }
        }
        return last.response
    }

    func fanout(_ implementers: [PluginImplementation]) async -> PluginResponse {
        let answers = Answers()
        let tasks = implementers.map { implementer in
            Loop.spawn { answers.byID[implementer.id] = await self.ask(implementer, self.request.body) }
        }
        for task in tasks { await task.value }
        let results = implementers.map { implementer -> JSON in
            let answer = answers.byID[implementer.id] ?? PluginAnswer(502, "no answer")
            return [
                "plugin_id": implementer.id.json, "ret": .init(answer.ret), "msg": .string(answer.msg),
                "data": answer.data ?? .null,
            ]
        }
        return PluginAnswer.ok(.array(results)).response
    }

    /// Nobody waits for the others; what they still answer is dropped.
    func race(_ implementers: [PluginImplementation]) async -> PluginResponse {
        let (first, answers) = (FirstOutcome<PluginAnswer>(), Answers())
        for implementer in implementers {
            Loop.spawn {
                let answer = await self.ask(implementer, self.request.body)
                answers.byID[implementer.id] = answer
                if answer.ret == 0 || answers.byID.count == implementers.count { first.end(with: answer) }
            }
        }
        return await first.wait().response
    }

    private func ask(_ implementer: PluginImplementation, _ body: Bytes) async -> PluginAnswer {
        do throws(PluginAnswer) {
            let forward = try await router.forward(
                head, source, nil, to: implementer.id, implementer.path + path, isDirect: false)
            let request = PluginRequest(head.method, forward.path, headers: forward.headers, body: body)
            let response: PluginResponse
            do {
                response = try await router.caller.call(
                    forward.base, request, within: forward.deadline, limit: Self.limit)
            } catch {
                forward.finished(error.outcome)
                throw PluginAnswer(502, "\(implementer.id) gives no answer")
            }
            forward.finished(.answered(status: response.status))
            return try answer(response, implementer)
        } catch {
            return error
        }
    }

    private func answer(
        _ response: PluginResponse, _ implementer: PluginImplementation
    ) throws(PluginAnswer) -> PluginAnswer {
        let reply = try PluginReply(response, from: "\(implementer.id)\(implementer.path)")
        return PluginAnswer(200, reply.msg, ret: Int(clamping: reply.ret), data: reply.body["data"])
    }
}

extension PluginCallError {
    var outcome: PluginOutcome {
        switch self {
        case .unreachable(let why): .unreachable(why)
        case .broken(let why), .malformed(let why): .broken(why)
        case .timeout: .timedOut
        case .tooLarge: .responseTooLarge
        }
    }
}
