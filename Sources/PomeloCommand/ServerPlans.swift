// SPDX-License-Identifier: MIT
import Foundation
import Pomelo
import PomeloSupervision
import PomeloUV

/// How servers are run: this program, once more; on another machine, in a folder of the same name, by ssh.
struct ServerPlans {
    let configuration: Configuration
    /// The path of this program.
    let program: String
    /// What servers are given beside this process's own variables.
    let variables: [String: String]
    let restarts: RestartRule
    /// The folder of logs.
    let logs: String
    /// The words that ssh is called by.
    let ssh: [String]

    /// How one of them is run; `words` say which it is, where no file does.
    ///
    /// - Throws: `NetworkError` naming a variable that ssh cannot carry.
    func plan(_ server: ServerRecord, words: [String]? = nil) throws -> ProcessPlan {
        let isHere = StartPlan.isHere(server)
        let log = isHere ? ["--log-file", "\(logs)/\(server.id).log"] : []
        let which = words ?? ["--id", server.id.rawValue]
        let files = ["--env", configuration.env, "--config", configuration.folder]
        let pinned = server.launch.cpu.map { ["taskset", "--cpu-list", "\($0)"] } ?? []
        let line = pinned + [program] + server.launch.arguments + log + files + which
        let folder = FileManager.default.currentDirectoryPath
        let command =
            isHere
            ? ChildProcess.Command(line[0], Array(line.dropFirst()), environment: variables)
            : FarProcess.command(ssh, server.host, in: folder, line)
        var plan = ProcessPlan(
            server.id.rawValue, server.isFrontend ? .frontend : .backend, command,
            restarts: server.launch.restarts || server.launch.restartsByForce ? .always : restarts)
        plan.endsRemains = server.launch.restartsByForce
        if !isHere { plan.far = try FarProcess(variables.merging(Self.ownVariables) { mine, _ in mine }) }
        return plan
    }

    /// What this process was started with and its servers are to know, wherever they are.
    private static var ownVariables: [String: String] {
        ProcessInfo.processInfo.environment.filter { name, value in
            let isOurs = name.hasPrefix("POMELO_") || ["REDIS_URL", "LOG_LEVEL"].contains(name)
            return isOurs && !value.isEmpty && !name.hasPrefix("POMELO_ADMIN_")
        }
    }
}
