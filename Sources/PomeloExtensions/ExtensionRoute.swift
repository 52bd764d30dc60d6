// SPDX-License-Identifier: MIT
public import PomeloCore
import PomeloJSON
import PomeloLoop

extension Application {
    /// Asks `route` for the server of a type that serves a session; where nobody takes part, or the answer names no
    /// server there is, a rule chooses, the router's default unless another is given.
    ///
    /// An answer stands for a second for the same user, and the requests of a session wait behind one another for it.
    public func routeByExtensions(_ type: ServerType, otherwise rule: Router.Rule? = nil) {
        let rule = rule ?? router.defaultRule
        route(
            type,
            waiting: { [extensions] request in
                let session = request.session
                let user = session.uid?.rawValue ?? "\(session.frontend)/\(session.id)"
                let verdict = await extensions.ask(
                    .route,
                    [
                        "type": .init(type), "sid": .init(session.id), "uid": session.uid.map { .init($0) } ?? .null,
                        "frontend": .init(session.frontend), "servers": .array(request.servers.map { .init($0.id) }),
                    ], key: "\(type)/\(user)")
                if case .pass(let data, _) = verdict, let chosen = data["server"]?.string.map({ ServerID($0) }),
                    request.servers.contains(where: { $0.id == chosen })
                {
                    return chosen
                }
                return try rule(session, request.servers)
            })
    }
}
