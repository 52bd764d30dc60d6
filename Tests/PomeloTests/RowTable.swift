// SPDX-License-Identifier: MIT

/// For every row of "From pomelo to Swift" the tests that show it.
///
/// A test is a file below Tests and a function in it; of FilterTranscripts, a title.
let rowTable = applicationRows + connectorRows + channelRows + "\n" + syncRows + "\n" + pluginRows

/// Up to sessions.
private let applicationRows = """
    pomelo.createApp()
        ServerFactsTests.regressionApplicationsOfOneProcessShareNothing
        DockerSectionTests.servicesChatThroughTheirNames
    process arguments
        ServerFileTests.pomelosFormAndFlagsSayTheSame
        ServerFileTests.aWordThatIsNoArgumentIsNamed
        ServerFileTests.theCommandLineStandsAboveTheFile
    app.getBase()
        ServerFactsTests.anApplicationKnowsWhatItIs
    app.get('env'), app.env
        ServerFactsTests.anApplicationKnowsWhatItIs
    app.set(key, value)
        ApplicationTests.settingsFollowJavaScriptsTruth
    app.get(key)
        ApplicationTests.settingsFollowJavaScriptsTruth
        ServerFactsTests.regressionApplicationsOfOneProcessShareNothing
    app.enable(key)
        ApplicationTests.settingsFollowJavaScriptsTruth
    app.disable(key)
        ApplicationTests.settingsFollowJavaScriptsTruth
    app.enabled(key)
        ApplicationTests.settingsFollowJavaScriptsTruth
    app.disabled(key)
        ApplicationTests.settingsFollowJavaScriptsTruth
    app.configure([env], [type], fn)
        ApplicationTests.configureRunsWhereEnvironmentAndTypeMatch
        SlipTests.configureNamesATypeThatNoServerHas
        SlipTests.configureNamesNearlyAnEnvironment
    app.loadConfig(key, path)
        ConfigurationTests.loadConfigStoresTheSection
        TypedConfigurationTests.loadConfigReadsTheSectionAsAType
        TypedConfigurationTests.aMistakeIsNamedByFileAndPlace
        TypedConfigurationTests.aTypeMayBeOfOneKeyOfAFile
        TypedConfigurationTests.aPathIsNoNameOfAFile
        ConfigurationTests.anEnvironmentHasItsSectionOrItsFolder
    app.load([name], component, [opts])
        ApplicationTests.namesAreUniqueAndComponentsComeBeforeTheStart
        PluginTests.aDuplicateComponentIsRefusedBeforeItIsMade
    app.components
        PluginTests.optionsAreOptional
    app.use(plugin, opts)
        PluginTests.theExamplePluginKeepsTimeOfUsers
        PluginTests.wrongOptionsAreNamed
        PluginTests.aPluginIsUsedOnceAndBeforeTheStart
    app.transaction(name, conditions, handlers, retry)
        TransactionTests.conditionsThenHandlersInOrder
        TransactionTests.attemptsAreTotalAndBeginWithTheFirstHandler
        TransactionTests.whatIsGivenUpIsUndoneInReverse
        TransactionTests.aStepThatNeverReturnsFailsAndIsUndone
        TransactionTests.pausesGrow
    app.registerAdmin(module)
        AdminTests.aModuleRunsByItsIntervalFromStartToStop
        AdminTests.aRoundThatTakesLongIsNotOvertaken
        AdminTests.idsAreUniqueAndModulesComeBeforeTheStart
    app.start()
        ApplicationTests.componentsStartInOrderAndStopInReverse
        ApplicationTests.anErrorWhileStartingStopsWhatWasStarted
        LifecycleTests.aStartThatNeverEndsIsAnErrorByItsDeadline
        StartTests.termDuringStartIsNoError
    app.stop(force)
        ApplicationTests.componentsStartInOrderAndStopInReverse
        ApplicationTests.requestStopOfARunningApplicationStopsItOnce
        LifecycleTests.aStopThatNeverEndsIsLeftBehindByItsDeadline
    app.beforeStopHook(fn)
        LifecycleTests.hooksRunAtTheirMoments
    lifecycle beforeStartup
        LifecycleTests.hooksRunAtTheirMoments
        LifecycleTests.anErrorInAHookEndsTheStart
    lifecycle afterStartup
        LifecycleTests.hooksRunAtTheirMoments
        LifecycleTests.anErrorInAHookEndsTheStart
    lifecycle beforeShutdown
        LifecycleTests.hooksRunAtTheirMoments
        LifecycleTests.aHookBeforeTheShutdownHasTheTimeThatTheLimitsSay
    lifecycle afterStartAll
        LifecycleTests.afterStartAllWaitsForTheExpectedIdsAndComesOnce
    component start, afterStart, stop
        ApplicationTests.componentsStartInOrderAndStopInReverse
        LifecycleTests.aStopThatNeverEndsIsLeftBehindByItsDeadline
    app.state
        ApplicationTests.componentsStartInOrderAndStopInReverse
        ApplicationTests.aStopDuringTheStartStopsOnce
        LifecycleTests.aStopThatNeverEndsIsLeftBehindByItsDeadline
    event add_servers
        EventTests.serverEventsCarryRecordsAndRemovalsIds
        EventTests.listenersHearInTheOrderTheyWereAdded
    event remove_servers
        EventTests.serverEventsCarryRecordsAndRemovalsIds
    event replace_servers
        EventTests.serverEventsCarryRecordsAndRemovalsIds
    event bind_session
        EventTests.sessionEventsCarryTheUserToTheEnd
    event unbind_session
        EventTests.sessionEventsCarryTheUserToTheEnd
    event close_session
        EventTests.sessionEventsCarryTheUserToTheEnd
        AutomaticLeaveTests.aMemberAtTheOwnFrontendIsGoneBeforeTheClosedEvent
    event start_server
        EventTests.sessionEventsCarryTheUserToTheEnd
    event start_all
        EventTests.sessionEventsCarryTheUserToTheEnd
        LifecycleTests.afterStartAllWaitsForTheExpectedIdsAndComesOnce
    app.getMaster()
        ServerFactsTests.anApplicationKnowsWhatItIs
    app.getCurServer()
        ServerFactsTests.anApplicationKnowsWhatItIs
    app.getServerId()
        ServerFactsTests.anApplicationKnowsWhatItIs
    app.getServerType()
        ServerFactsTests.anApplicationKnowsWhatItIs
    app.getServers()
        ServerFactsTests.theServersThatAreThereAreListedAlikeEverywhere
    app.getServersFromConfig()
        ServerFactsTests.anApplicationKnowsWhatItIs
        ConfigurationTests.pomelosFilesAreRead
    app.getServerTypes()
        ServerFactsTests.anApplicationKnowsWhatItIs
        ServerFactsTests.regressionATypeThatIsGoneIsNotListed
    app.getServerById(id)
        ServerFactsTests.theServersThatAreThereAreListedAlikeEverywhere
    app.getServerFromConfig(id)
        ServerFactsTests.anApplicationKnowsWhatItIs
        ServerFileTests.theConfigurationIsFoundByIdAndType
    app.getServersByType(type)
        ServerFactsTests.theServersThatAreThereAreListedAlikeEverywhere
    app.isFrontend([server])
        ServerFactsTests.anApplicationKnowsWhatItIs
        ServerFileTests.frontendAsBooleanOrTextIsAFrontendAndTheMasterIsNeither
    app.isBackend([server])
        ServerFactsTests.anApplicationKnowsWhatItIs
        ServerFileTests.frontendAsBooleanOrTextIsAFrontendAndTheMasterIsNeither
    app.isMaster()
        ServerFactsTests.anApplicationKnowsWhatItIs
    app.addServers(servers)
        RouterTests.changesAreAnnouncedWhenTheyMatterToRouting
        ServerFactsTests.regressionAServerIsOfOneTypeAtATime
    app.removeServers(ids)
        RouterTests.changesAreAnnouncedWhenTheyMatterToRouting
        ServerFactsTests.regressionATypeThatIsGoneIsNotListed
    app.replaceServers(servers)
        RouterTests.changesAreAnnouncedWhenTheyMatterToRouting
        EventTests.serverEventsCarryRecordsAndRemovalsIds
    app.addCrons(crons)
        CronTests.jobsRunAtTheirTimesUntilTheyAreRemovedOrTheServerStops
        CronTests.anIdIsUniqueAndAnActionServed
        CronTests.theNextTimeIsFound
        CronTests.aWrongTextIsAnErrorThatSaysWhy
    app.removeCrons(ids)
        CronTests.jobsRunAtTheirTimesUntilTheyAreRemovedOrTheServerStops
        CronTests.anIdIsUniqueAndAnActionServed
    app.route(type, fn)
        RouterTests.aRuleOfTheApplicationDecides
        RouterTests.sessionsWithOneValueMeetOnOneServerEverywhere
        RouterTests.theDefaultRuleIsForAllTypesWithoutTheirOwn
        RouterTests.aServerMoreMovesOnlyItsOwnShareOfUsers
        RoutingTests.aRuleSeesWhatIsAsked
        RoutingTests.aRuleThatWaitsHoldsUpItsSessionAlone
        RoutingTests.theHashOfPomeloIsTheModuloOfItsChecksum
    app.rpc.type.remote.method(…)
        RPCClientTests.aRoutedCallReachesTheServerOfItsSessionAndComesBackTyped
        RPCClientTests.regressionEveryCallEndsAndSaysWhy
        RPCClientTests.aCallMayHaveADeadlineOfItsOwn
    ….toServer(id, …)
        RPCClientTests.anAddressedCallReachesThatServer
    ….toServer('*', …)
        RoutingTests.aCallToAllHasOneOutcomeForEach
    a route value in place of a session
        RoutingTests.sessionsAndCallsMeetByTheirKey
        RoutingTests.withoutARuleACallByAUserMeetsItsSessions
    app.rpcInvoke(id, msg, cb)
        RPCClientTests.aCallByNameTakesAndGivesJSON
        RPCFilterTests.callsByNameAreFilteredToo
    handler files, next(err, resp)
        DispatchTests.answers
        MisfitTests.theClientIsToldWhatIsWrong
        DispatchTests.regressionOnlyRegisteredMethodsCanBeCalled
        DispatchTests.routesAreServedByTheirTypeOnly
        PluginTests.aDeclaredRouteMustBeServedByItsType
    remote files
        RPCClientTests.anAddressedCallReachesThatServer
        CallTests.outcomesAreTheSameNearAndFar
    cron files
        CronTests.jobsRunAtTheirTimesUntilTheyAreRemovedOrTheServerStops
        CronTests.theFileIsReadForTheServersTypeAndId
    app.filter(filter)
        FilterTests.beforesInOrderAftersInReverse
        FilterTests.anErrorOfABeforeSkipsTheRestAndAftersStillRun
    app.before(filter)
        FilterTests.beforesInOrderAftersInReverse
        FilterTranscripts.before and after parts alone, in order of registration and in reverse
    app.after(filter)
        FilterTests.beforesInOrderAftersInReverse
        FilterTests.anAfterSeesTheErrorAndMayReplaceIt
        FilterTranscripts.an error stays unless an after-filter replaces it
    app.globalFilter(filter)
        FilterTests.aGlobalFilterIsAroundForwardedRequestsToo
    app.globalBefore(filter)
        FilterTranscripts.before and after parts alone, in order of registration and in reverse
        FilterTranscripts.an error of a global before-filter keeps a request from the backend
    app.globalAfter(filter)
        FilterTranscripts.before and after parts alone, in order of registration and in reverse
        FilterTranscripts.a global after-filter may change the answer of another server
    app.rpcFilter(filter)
        RPCFilterTests.callsUnderWayAtOnceShareNothing
        FilterTranscripts.an error of an rpc before-filter keeps a request from the backend
    app.rpcBefore(filter)
        RPCFilterTests.aBeforeMayChooseAnotherServer
        RPCFilterTests.aBeforeMayReplaceTheArgument
    app.rpcAfter(filter)
        RPCFilterTests.anAfterMayReplaceTheReply
        RPCFilterTests.aftersSeeCallsThatFailed
        FilterTranscripts.rpc after-filters run in order of registration
    app.set('errorHandler', fn)
        FilterTranscripts.the error handler is asked before the after-filters
        FilterTranscripts.the error handler is asked about before-filters too
    app.set('globalErrorHandler', fn)
        FilterTranscripts.the global error handler is asked about global before-filters
        FilterTranscripts.the global error handler is asked about what a handler's error handler left
    app.set('rpcErrorHandler', fn)
        RPCFilterTests.theErrorHandlerHasTheCallAndMayReply
        FilterTranscripts.the rpc error handler may answer in the place of a server that refused
    pomelo.serial()
        SerialFilterTests.requestsOfASessionRunOneAfterTheOther
        SerialFilterTests.sessionsOfDifferentFrontendsNeverWaitForEachOther
        SerialFilterTests.aLateRequestIsAnsweredAndTheQueueGoesOn
    pomelo.time()
        BuiltInFilterTests.timeLogsEachRequestWithItsRouteAndMicroseconds
    pomelo.timeout()
        BuiltInFilterTests.aLateRequestIsAnsweredAtTheFiltersDeadlineAndCancelled
    pomelo.toobusy()
        BuiltInFilterTests.aLaggingLoopRefusesRequestsUntilItHasCaughtUp
    pomelo.rpcFilters.rpcLog()
        BuiltInFilterTests.rpcLogTimesEachCallByItself
    sessionService.kick(uid)
        SessionPolicyTests.kicksCountTheSessionsAndBoundOnesAreListed
    sessionService.kickBySessionId(sid)
        SessionPolicyTests.kicksCountTheSessionsAndBoundOnesAreListed
        SessionTests.closingTwiceTellsOnceAndLateListenersAreToldAtOnce
    sessionService.getByUid(uid)
        SessionTests.aUserHasSeveralSessionsOldestFirst
    sessionService.get(sid)
        SessionPolicyTests.kicksCountTheSessionsAndBoundOnesAreListed
    sessionService.bind, unbind
        SessionTests.bindingIsByTextAndOnce
    sessionService.import, importAll
        SessionPolicyTests.settingsAreMergedIntoASessionByItsId
    sessionService.forEachSession
        SessionPolicyTests.kicksCountTheSessionsAndBoundOnesAreListed
    sessionService.forEachBindedSession
        SessionPolicyTests.kicksCountTheSessionsAndBoundOnesAreListed
    sessionService.getSessionsCount()
        SessionPolicyTests.kicksCountTheSessionsAndBoundOnesAreListed
    sessionService.getClientAddressBySessionId(sid)
        SessionPolicyTests.kicksCountTheSessionsAndBoundOnesAreListed
    sessionService.sendMessage(sid, msg)
        SessionPolicyTests.aMessageIsSentToOneSession
    sessionConfig.singleSession
        SessionPolicyTests.aSecondSessionOfAUser
        SessionPolicyTests.theOldSessionHasClosedBeforeTheNewOneIsBound
    connectionService.getStatisticsInfo()
        ConnectionStatisticsTests.tellsWhoIsConnectedSinceWhenFromWhere
        ConnectionStatisticsTests.neverDriftsFromWhatHappened
    session.bind(uid)
        SessionTests.aBackendActsOnTheSessionAtItsFrontend
    session.unbind(uid)
        SessionTests.aBackendActsOnTheSessionAtItsFrontend
    session.set(key, value)
        SessionTests.aBackendActsOnTheSessionAtItsFrontend
        SessionPolicyTests.regressionACopyOfASessionSharesNothingWithIt
    session.get(key)
        SessionTests.aBackendActsOnTheSessionAtItsFrontend
        DispatchTests.aForwardedRequestCarriesTheSession
    session.remove(key)
        SessionPolicyTests.aRemovedSettingIsGoneAtTheFrontend
    session.push(key)
        SessionTests.aBackendActsOnTheSessionAtItsFrontend
    session.pushAll()
        SessionTests.aBackendActsOnTheSessionAtItsFrontend
        SessionPolicyTests.theLastWriterOfAKeyWins
    session.on('closed', fn)
        SessionTests.observersAreToldBeforeListenersWithTheUserStillReadable
        SessionTests.closingTwiceTellsOnceAndLateListenersAreToldAtOnce
    backendSessionService.get(frontend, sid)
        SessionTests.aBackendActsOnTheSessionAtItsFrontend
        BackendSessionTests.theOwnFrontendIsNotCalled
        BackendSessionTests.regressionAServerWithoutTheSessionIsAClearError
    backendSessionService.getByUid(frontend, uid)
        BackendSessionTests.kicksByUserTellTheReasonAndCountTheSessions
        BackendSessionTests.theOwnFrontendIsNotCalled
    backendSessionService.kickBySid(frontend, sid)
        BackendSessionTests.sessionsAreBoundAndWrittenByTheirIds
        BackendSessionTests.theOwnFrontendIsNotCalled
    backendSessionService.kickByUid(frontend, uid)
        BackendSessionTests.kicksByUserTellTheReasonAndCountTheSessions
    backendSessionService.bind, unbind
        BackendSessionTests.sessionsAreBoundAndWrittenByTheirIds
    backendSessionService.push, pushAll
        BackendSessionTests.sessionsAreBoundAndWrittenByTheirIds

    """

/// Channels and all that is built on them.
private let channelRows = """
    channelService.createChannel(name)
        ChannelTests.channelsAreMadeOnDemandOrNot
    channelService.getChannel(name, create)
        ChannelTests.channelsAreMadeOnDemandOrNot
    channelService.destroyChannel(name)
        ChannelTests.channelsAreMadeOnDemandOrNot
        ChannelServiceTests.regression12ADestroyedChannelThrows
    channelService.pushMessageByUids(route, msg, uids)
        ChannelServiceTests.reportsNameWhoWasNotReached
    channelService.broadcast(type, route, msg, opts)
        BroadcastTests.reaches
        BroadcastTests.regressionEachSessionOfAUserGetsOneCopy
    channelConfig.store, prefix
        LocalChannelStoreTests.regressionMembersComeBackIntoTheirOwnChannels
        LocalChannelStoreTests.theKeysMayHaveAPrefixOfTheirOwn
    channel.add(uid, sid)
        ChannelServiceTests.membersAreAddedOnceAndGetOneMessage
        AutomaticLeaveTests.aMemberAtAnotherFrontendLeavesWithItsLastSession
    channel.leave(uid, sid)
        ChannelTests.regressionLeavingElsewhereChangesNothing
        ChannelServiceTests.membersAreAddedOnceAndGetOneMessage
    channel.getMembers()
        ChannelServiceTests.membersAreAddedOnceAndGetOneMessage
        ChannelTests.aUserAtTwoFrontendsIsOneMemberWithTwoMemberships
    channel.getMember(uid)
        ChannelTests.aUserAtTwoFrontendsIsOneMemberWithTwoMemberships
    channel.getUserAmount()
        ChannelTests.aUserAtTwoFrontendsIsOneMemberWithTwoMemberships
    channel.destroy()
        ChannelTests.aDestroyedChannelDoesNotEndItsSuccessor
    channel.pushMessage(route, msg, [opts])
        ChannelTests.someUsersCanBeLeftOut
        ChannelTests.theReportNamesTheUsersOfSilentFrontends
        ChannelServiceTests.regression12ADestroyedChannelThrows
    pushSchedulers.direct, buffer
        PushSchedulerTests.pushesOfARouteWaitAndLeaveInOrder
        PushSchedulerTests.regressionAStopSendsWhatIsKeptWithoutWaiting
    redis.json: host, port, db, auth_pass
        RedisConfigurationTests.decodes
        EnvironmentTests.variablesSayWhereRedisIs
    globalChannelService.add(name, uid, sid)
        MembershipTests.whoIsAddedIsReachedByTheNextPush
        PublishingTests.aDurableAddReturnsWhenItIsPublished
    globalChannelService.leave(name, uid, sid)
        MembershipTests.whoIsAddedIsReachedByTheNextPush
        MembershipTests.theLastSessionEndsTheMembershipBeforeTheEvent
    globalChannelService.getMembersBySid(name, sid)
        MembershipTests.membersArePaged
    globalChannelService.getMembersByChannelName(type, name)
        MembershipTests.aUserAtTwoFrontendsIsListedOnce
    globalChannelService.pushMessage(type, route, msg, name)
        PushTests.oneCallPerFrontendAndNoneToTheStore
        PublishingTests.regression1AStoreFailureIsNeverASuccess
    globalChannelService.destroyChannel(name)
        MembershipTests.aDestroyedChannelIsGoneEverywhere
    statusService.getSidsByUid(uid)
        StatusTests.aUserIsOnlineWhileAnySessionIs
    statusService.getStatusByUid(uid)
        StatusTests.aUserIsOnlineWhileAnySessionIs
    statusService.getStatusByUids(uids)
        StatusTests.aUserIsOnlineWhileAnySessionIs
    statusService.pushByUids(uids, route, msg)
        StatusTests.aPushFindsUsersWhereverTheyAre
    """
