// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloContract
import PomeloJSON
import PomeloLoop

/// What operators have done, who need no bootstrap secret: they have shown who they are.
extension PluginHost {
    func details(of id: PluginID) -> JSON? {
        view.records[id].map { $0.details(view, at: follower.now) }
    }

    func register(_ id: PluginID, _ urls: [String], replaces: Bool) async throws(PluginAnswer) -> String {
        let urls = urls.isEmpty ? options.apps[Text(id.rawValue)] ?? [] : urls
        guard !urls.isEmpty else {
            throw PluginAnswer(400, "where \(id) is: a url is missing, and keel.json has none under apps")
        }
        var addresses: [String] = []
        for url in urls {
            guard let address = PluginAddress(url) else { throw PluginAnswer(400, "\(url.forLog) is no address") }
            addresses.append(address.text)
        }
        return try await registry.register(
            PluginRegistry.Application(id: id, addresses: addresses, replaces: replaces))
    }

    func remove(_ id: PluginID, isForced: Bool) async throws(PluginAnswer) {
        try await registry.unregister(id, isForced: isForced) { instances.inFlight($0) }
    }

    func deadLetters(of id: PluginID, behind last: String?) async throws -> [DeadEvent] {
        guard last.map(PluginStreams.isNumber) ?? true else {
            throw PluginAnswer(400, "\(last?.forLog ?? "") is no number of a dead letter")
        }
        return try await streams.dead(id, behind: last)
    }

    func settle(_ id: PluginID, _ numbers: [String], again: Bool) async throws -> [String] {
        if let wrong = numbers.first(where: { !PluginStreams.isNumber($0) }) {
            throw PluginAnswer(400, "\(wrong.forLog) is no number of a dead letter")
        }
        return try await streams.settle(id, numbers, again: again)
    }
}
