// SPDX-License-Identifier: MIT
import PomeloContract
package import PomeloLoop
import PomeloSupervision
import PomeloTesting
import PomeloUV

/// An ssh daemon of a test's own on a free port of 127.0.0.1, and an ssh that finds it as the host `far`.
@Loop package final class SecureShell {
    /// How ssh is called.
    package var words: [String] { ["ssh", "-F", "\(folder)/config"] }
    private let folder: String
    private let supervisor: Supervisor

    /// Debian's place of it is in the path of root only.
    package static func isInstalled() async -> Bool {
        do {
            // Some know no -V, but all of them are there to say so.
            _ = try await ChildProcess.run(.init("/usr/sbin/sshd", ["-V"]))
            return true
        } catch {
            return false
        }
    }

    /// - Throws: with the end of its log when it does not come up.
    package static func start() async throws -> SecureShell {
        var failure: any Error = PomeloError(.notRunning, "no port")
        for _ in 0..<5 {
            do {
                return try await SecureShell(port: try await TestPorts.next())
            } catch {
                failure = error
            }
        }
        throw failure
    }

    private init(port: Int) async throws {
        let script = """
            set -e
            folder=$(mktemp -d)
            ssh-keygen -q -t ed25519 -N '' -f "$folder/host"
            ssh-keygen -q -t ed25519 -N '' -f "$folder/user"
            cat >"$folder/sshd_config" <<END
            Port \(port)
            ListenAddress 127.0.0.1
            HostKey $folder/host
            AuthorizedKeysFile $folder/user.pub
            StrictModes no
            UsePAM no
            PidFile none
            END
            cat >"$folder/config" <<END
            Host far
                HostName 127.0.0.1
                Port \(port)
                IdentityFile $folder/user
                IdentitiesOnly yes
                StrictHostKeyChecking no
                UserKnownHostsFile /dev/null
                LogLevel ERROR
            END
            # What it needs of root's machine, where nobody has started one before.
            [ "$(id -u)" != 0 ] || mkdir -p /run/sshd
            echo "$folder"
            """
        let made = try await ChildProcess.run(.init("/bin/sh", ["-c", script]))
        guard made.ending == .exited(0), let folder = made.lines.last else {
            throw PomeloError(.notRunning, "ssh-keygen: \(made.lines)")
        }
        self.folder = folder
        supervisor = try Supervisor(folder: folder) { _ in }
        let command = ChildProcess.Command("/usr/sbin/sshd", ["-D", "-e", "-f", "\(folder)/sshd_config"])
        do {
            try supervisor.start(
                ProcessPlan("sshd", .store, command, restarts: .never) { $0.hasPrefix("Server listening on ") })
            try await supervisor.untilUp()
        } catch {
            await supervisor.stop()
            throw error
        }
    }

    package func stop() async {
        await supervisor.stop()
        Files.remove(folder)
    }
}
