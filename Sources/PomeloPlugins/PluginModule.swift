// SPDX-License-Identifier: MIT
import PomeloBytes
public import PomeloCore
public import PomeloJSON
public import PomeloLoop

/// The plugins of the cluster, as `plugins` of the administration; every server that has a host answers for all.
///
/// ```
/// {"do":"list"}                                        {"plugins":[{"id","version","status",…},…]}
/// {"do":"show","id":"acme-words"}                      {"plugin":{…}}
/// {"do":"register","id","url"?,"replace"?}             {"secret":…}      the plugin's own
/// {"do":"remove","id","force"?}                        {}
/// {"do":"dead-letters","id","after"?}                  {"letters":[{"number","reason","body"},…]}   a page
/// {"do":"retry","id","numbers":[…]}                    {"done":[…]}      or "drop"
/// ```
@Loop public final class PluginModule: AdminModule {
    /// `plugins`.
    public let moduleID = "plugins"
    private let host: PluginHost

    /// Answers for a host.
    public init(_ host: PluginHost) { self.host = host }

    /// Answers an operator.
    ///
    /// - Throws: `Fault` with the status and words that a request over HTTP would be answered.
    public func monitorHandler(_ message: JSON) async throws -> JSON {
        do {
            return try await answer(message)
        } catch let error as PluginAnswer {
            throw Fault(error.status, error.msg)
        }
    }

    private func answer(_ message: JSON) async throws -> JSON {
        if message["do"] == "list" { return ["plugins": .array(host.view.summaries)] }
        guard let id = message["id"]?.string.flatMap(PluginID.checked) else {
            throw PluginAnswer(400, "the id of a plugin is missing, or is none")
        }
        let numbers = message["numbers"]?.array?.compactMap(\.string) ?? []
        switch message["do"]?.string {
        case "show":
            guard let details = host.details(of: id) else { throw PluginAnswer(404, "plugin not registered") }
            return ["plugin": details]
        case "register":
            let secret = try await host.register(
                id, message["url"]?.string.map { [$0] } ?? [], replaces: message["replace"]?.bool ?? false)
            return ["secret": .string(secret)]
        case "remove":
            try await host.remove(id, isForced: message["force"]?.bool ?? false)
            return [:]
        case "dead-letters":
            let letters = try await host.deadLetters(of: id, behind: message["after"]?.string)
            return [
                "letters": .array(
                    letters.map {
                        ["number": .string($0.number), "reason": .string($0.reason), "body": .string($0.body)]
                    })
            ]
        case "retry", "drop":
            let isAgain = message["do"]?.string == "retry"
            return ["done": .array(try await host.settle(id, numbers, again: isAgain).map { .string($0) })]
        default:
            throw PluginAnswer(400, "plugins lists, shows, registers, removes, and settles dead letters")
        }
    }
}

extension PluginView {
    /// A line for each.
    var summaries: [JSON] { records.values.sorted { $0.id < $1.id }.map(\.summary) }
}
