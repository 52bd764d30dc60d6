// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop

/// The office of whoever runs the singletons of `crons.json` for a server type.
@Loop final class CronElection: CronOffice {
    private static let term = Duration.seconds(10)
    private weak var membership: ClusterMembership?
    private let office: String
    private var election: Election?

    init(_ membership: ClusterMembership, _ type: ServerType) {
        self.membership = membership
        office = "crons.\(type)"
    }

    var isHeld: Bool { election?.token != nil }

    func stand() {
        guard election == nil else { return }
        election = membership?.election(office, term: Self.term)
        election?.stand()
    }
}
