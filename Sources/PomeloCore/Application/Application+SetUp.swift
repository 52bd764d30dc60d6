// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
public import PomeloJSON
import PomeloLoop

extension Application {
    /// Runs `body` now when this server is of the environment and type; both may be `all` or alternatives `a|b`.
    ///
    /// - Source: pomelo 2.2.7, `app.configure`: names match exactly, without wildcards.
    public func configure(
        _ env: String = "all", _ type: String = "all", _ body: @Loop (Application) throws -> Void
    ) rethrows {
        let (envs, types) = (Self.alternatives(env), Self.alternatives(type))
        configured.envs.formUnion(envs)
        configured.types.formUnion(types)
        let isMeant = envs.isEmpty || envs.contains(Text(self.env))
        if isMeant, types.isEmpty || types.contains(Text(serverType.rawValue)) { try body(self) }
    }

    /// None for `all`.
    private static func alternatives(_ pattern: String) -> Set<Text> {
        if pattern == "all" { return [] }
        let parts = pattern.utf8.split(separator: UInt8(ascii: "|"), omittingEmptySubsequences: false)
        return Set(parts.map { Text(String(Substring($0))) })
    }

    /// Installs a plugin, with options keyed by the names of its components.
    ///
    /// - Throws: `PomeloError` `.configuration` when it is installed already or its options are wrong; `.notRunning`
    ///   after `start`.
    public func use(_ plugin: some Plugin, _ options: JSONObject = JSONObject()) throws {
        guard state == .created else { throw PomeloError(.notRunning, "plugins are used before start") }
        guard plugins.insert(plugin.name).inserted else {
            throw PomeloError(.configuration, "the plugin \(plugin.name) is used twice")
        }
        var options = PluginOptions(plugin.name, options)
        try plugin.install(into: self, &options)
        try options.finish()
    }

    /// Adds a component; it starts in this order, and stops in the reverse one.
    ///
    /// - Throws: `PomeloError` `.configuration` when the name is taken; `.notRunning` after `start`.
    public func load(_ component: some Component) throws {
        try checkFree(component.name)
        components.append(component)
    }

    /// Makes and adds a component; when the name is taken nothing is made.
    ///
    /// - Throws: as `load(_:)`; `PomeloError` `.configuration` when the component made has another name; what `make`
    ///   throws.
    public func load(_ name: String, _ make: @Loop (Application) throws -> any Component) throws {
        try checkFree(name)
        let component = try make(self)
        guard component.name == name else {
            throw PomeloError(.configuration, "the component loaded as \(name) calls itself \(component.name)")
        }
        components.append(component)
    }

    /// A loaded component, by its name.
    public func component(_ name: String) -> (any Component)? { components.first { $0.name == name } }

    private func checkFree(_ name: String) throws {
        guard state == .created else { throw PomeloError(.notRunning, "components are loaded before start") }
        guard component(name) == nil else {
            throw PomeloError(.configuration, "the component \(name) is loaded twice")
        }
    }

    /// Serves the routes of a handler, the procedures of a remote, or the jobs of crons.
    ///
    /// - Throws: `PomeloError` `.configuration` for a route of another server type or one that is served already.
    public func handle(_ handler: some Handler) throws {
        for served in handler.routes {
            switch served.kind {
            case .call(let answer): try dispatcher.serve(served.route, answer)
            case .remote(let answer): try serveRemote(served.route, answer)
            case .cron(let job): try crons.serve(served.route.text, job)
            }
            if served.isOfContract { contractRoutes.append(served.route) }
        }
    }

    private func serveRemote(_ route: Route, _ answer: @escaping ServedRoute.RemoteAnswer) throws {
        let procedure = Procedure(remote: route.text)
        try dispatcher.checkOwn(route)
        guard !procedures.serves(procedure) else {
            throw PomeloError(.configuration, "the remote \(route) is served twice")
        }
        procedures.preparing(procedure) { _, payload in answer(payload) }
    }

    /// Routes of this server, sorted.
    public var servedRoutes: [String] { dispatcher.servedRoutes }

    /// Chooses how sessions of other types' clients find servers of this type.
    public func route(_ type: ServerType, _ rule: @escaping Router.Rule) { router.set(type, rule) }
    /// Chooses the server of this type by session, route and body.
    public func route(_ type: ServerType, request rule: @escaping Router.RequestRule) { router.set(type, rule) }
    /// Chooses the server of this type by a rule that may wait, for a look into a database for instance.
    ///
    /// The requests of one session wait behind one another for it, so their order stays; it has the rest of the
    /// request's time.
    public func route(_ type: ServerType, waiting rule: @escaping Router.WaitingRule) { router.set(type, rule) }

    /// Routes by the user, with another hash than the default's.
    public func route(_ type: ServerType, hash: RouteHash) {
        router.set(type, hash)
        router.set(type) { session, servers in hash.pick(Router.key(of: session), servers) }
    }

    /// Routes by a setting of the session, so that all sessions with one value meet on one server; calls by the same
    /// key (`RPCClient.call(_:_:by:within:)`) meet them there.
    ///
    /// The value is a text, a number or a boolean.
    ///
    /// A session without it goes where its user does by default, which is logged once.
    public func route(_ type: ServerType, by setting: String, hash: RouteHash = .highestWeight) {
        var isTold = false
        router.set(type, hash)
        router.set(type) { [log] session, servers in
            if let key = session.get(setting).flatMap(Router.key(of:)) { return hash.pick(key, servers) }
            if !isTold {
                log.warning(
                    "a session lacks what its requests are routed by: its user decides",
                    metadata: ["pomelo.setting": "\(setting)", "pomelo.type": "\(type)"])
            }
            isTold = true
            return hash.pick(Router.key(of: session), servers)
        }
    }

    /// A filter around the handlers of this server.
    public func filter(_ filter: some Filter) { dispatcher.local.add(installed(filter)) }
    /// Only the before part of a filter, around the handlers of this server.
    public func before(_ filter: some Filter) { dispatcher.local.before(installed(filter)) }
    /// Only the after part of a filter, around the handlers of this server.
    public func after(_ filter: some Filter) { dispatcher.local.after(installed(filter)) }
    /// A filter around every request of this frontend's clients, forwarded ones too.
    public func globalFilter(_ filter: some Filter) { dispatcher.global.add(installed(filter)) }
    /// Only the before part of a filter, around every request of this frontend's clients.
    public func globalBefore(_ filter: some Filter) { dispatcher.global.before(installed(filter)) }
    /// Only the after part of a filter, around every request of this frontend's clients.
    public func globalAfter(_ filter: some Filter) { dispatcher.global.after(installed(filter)) }

    private func installed<Added: Filter>(_ filter: Added) -> Added {
        filter.install(into: self)
        return filter
    }

    /// Declares the routes of a contract: those of this server's own type must be served when it starts.
    ///
    /// A contract lists its routes beside its values because Swift cannot list the static members of a type; a value
    /// that is served and not in a list is a warning at the start, once anything is declared.
    ///
    /// Routes of other types are remembered, so that clients' requests for them cost no allocation.
    public func declare(_ routes: [Route]) {
        declaredRoutes += routes
        for route in routes { dispatcher.intern(route) }
    }

    func checkFilters() throws {
        for (chain, whole) in [(dispatcher.global, "globalFilter"), (dispatcher.local, "filter")] {
            guard let half = chain.half else { continue }
            let remedy = "add it whole, as in app.\(whole)(.serial()), or the same filter to both parts"
            throw PomeloError(.configuration, "\(serverID) has one part of \(type(of: half)) alone: \(remedy)")
        }
    }

    func checkDeclaredRoutes() throws {
        let served = Set(dispatcher.servedRoutes.map { Text($0) })
        let missing = declaredRoutes.filter { route in
            route.serverType == serverType && !served.contains(Text(route.text))
                && !procedures.serves(Procedure(remote: route.text))
        }
        guard missing.isEmpty else {
            let list = missing.map(\.text).sorted().joined(separator: ", ")
            throw PomeloError(.configuration, "\(serverID) declares but does not serve: \(list)")
        }
    }
}
