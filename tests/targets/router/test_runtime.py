"""Commands to HAProxy's runtime API, and its answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gitdeploy.errors import StageFailed
from gitdeploy.targets.router.haproxycfg import Backend
from gitdeploy.targets.router.runtime import NOWHERE, Counts, changes, place, servers_state, statistics

ONE, TWO, THREE = Backend("r1-1", "10.0.0.1", 100), Backend("r2-1", "10.0.0.2", 0), Backend("r3-1", "10.0.0.3", 100)


class TestPlace:
    def test_keeps_slots_and_fills_free_ones(self) -> None:
        assert place({2: ONE}, [THREE, ONE], 4) == {2: ONE, 1: THREE}

    def test_free_slots_come_before_those_just_given_up(self) -> None:
        assert place({1: ONE}, [TWO], 2) == {2: TWO}
        assert place({1: ONE}, [TWO, THREE], 2) == {2: TWO, 1: THREE}

    def test_takes_new_weights(self) -> None:
        assert place({1: ONE}, [Backend("r1-1", "", 5)], 2) == {1: Backend("r1-1", "", 5)}

    def test_a_service_has_several_and_each_keeps_its_own(self) -> None:
        assert place({2: ONE}, [TASK, TASK, ONE], 4) == {2: ONE, 1: TASK, 3: TASK}
        assert place({1: TASK, 3: TASK}, [TASK] * 3, 4) == {1: TASK, 3: TASK, 2: TASK}

    def test_of_a_service_slots_without_a_task_are_given_up_first(self) -> None:
        nobody = replace(TASK, address="")
        assert set(place({1: nobody, 2: TASK, 3: nobody, 4: TASK}, [TASK, TASK], 4)) == {2, 4}
        assert place({1: TASK, 2: ONE}, [ONE], 4) == {2: ONE}

    def test_refuses_too_many(self) -> None:
        with pytest.raises(StageFailed, match="room for 2 containers, 3 were"):
            place({}, [TASK] * 3, 2)
        with pytest.raises(StageFailed, match="room for 1"):
            place({}, [ONE, TWO], 1)


TASK = Backend("tasks.a", "10.0.1.3", 100)
PORTS = {"port-80": 80}


class TestChanges:
    def test_nothing(self) -> None:
        assert changes(PORTS, {"port-80": {1: ONE}}, {1: ONE}) == []

    def test_a_new_server_waits_for_its_check(self) -> None:
        assert changes(PORTS, {"port-80": {}}, {2: TWO}) == [
            "set server port-80/s2 weight 0",
            "set server port-80/s2 addr 10.0.0.2 port 80",
            "set server port-80/s2 fqdn r2-1",
            "set server port-80/s2 state ready",
            "set server port-80/s2 health down",
            "set server port-80/s2 weight 0",
        ]

    def test_who_had_the_slot_is_not_asked_until_an_address_is_known(self) -> None:
        commands = changes(PORTS, {"port-80": {1: ONE}}, {1: Backend("tasks.a")})
        assert commands[1:3] == [f"set server port-80/s1 addr {NOWHERE} port 80", "set server port-80/s1 fqdn tasks.a"]

    def test_tasks_that_moved_change_nothing(self) -> None:
        wanted = {1: replace(TASK, address=""), 2: replace(TASK, weight=0)}
        assert changes(PORTS, {"port-80": {1: TASK, 2: TASK}}, wanted) == ["set server port-80/s2 weight 0"]

    def test_requests_are_given_before_they_are_taken(self) -> None:
        now = {"port-80": {1: ONE, 2: TWO}}
        wanted = {1: Backend("r1-1", "", 0), 2: Backend("r2-1", "", 100)}
        assert changes(PORTS, now, wanted) == ["set server port-80/s2 weight 100", "set server port-80/s1 weight 0"]

    def test_a_slot_that_becomes_free(self) -> None:
        assert changes(PORTS, {"port-80": {1: ONE}}, {}) == [
            "set server port-80/s1 state maint",
            "set server port-80/s1 fqdn router",
        ]

    def test_each_backend_from_where_it_is(self) -> None:
        now = {"port-80": {1: ONE}, "port-81": {}}
        commands = changes({"port-80": 80, "port-81": 81}, now, {1: ONE})
        assert {command.split()[2] for command in commands} == {"port-81/s1"}


STATE = """\
1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_fqdn srv_port
3 port-80 1 s1 172.18.0.3 2 68 100 1 r1-1 80
3 port-80 2 s2 127.0.0.1 0 5 1 1 - 80
3 port-80 3 s3 172.18.0.2 0 69 1 1 router 80
3 port-80 4 s4 - 0 36 0 1 r2-1 80
5 port-81 1 s1 172.18.0.3 0 68 100 1 r1-1 81
5 port-81 2 s2 255.255.255.255 0 68 0 1 tasks.a 81
5 port-81 3 s3 10.0.1.3 0 68 100 1 tasks.a 81

"""

STATISTICS_HTTP = """\
# pxname,svname,scur,stot,econ,eresp,status,check_status,\
hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,last_chk,mode,check_rise,check_health,
port-80,s1,2,99,1,2,UP,L4OK,0,10,3,4,5,0,Layer4 check passed,http,1,3,
port-80,s2,0,0,0,0,DOWN,L4CON,0,0,0,0,0,0,Connection refused at initial connection step of tcp-check,http,1,0,
port-80,s3,1,7,0,0,DRAIN,L4OK,,,,,,,,tcp,1,1,
port-80,s4,0,0,0,0,MAINT,,0,0,0,0,0,0,,http,
"""


class TestAnswers:
    def test_servers(self) -> None:
        assert servers_state(STATE) == {
            "port-80": {1: Backend("r1-1", "172.18.0.3", 100), 4: Backend("r2-1", "", 0)},
            "port-81": {1: Backend("r1-1", "172.18.0.3", 100), 2: Backend("tasks.a"), 3: TASK},
        }

    def test_statistics(self) -> None:
        assert statistics(STATISTICS_HTTP)["port-80"] == {
            1: Counts(True, 2, 22, 5, 3, "L4OK Layer4 check passed", passed=True),
            2: Counts(False, check="L4CON Connection refused at initial connection step of tcp-check"),
            3: Counts(True, 1, 7, 0, 0, "L4OK"),
            4: Counts(),
        }

    def test_nobody_is_reached_before_a_check_of_its_own(self) -> None:
        found = statistics(STATISTICS_HTTP)["port-80"]
        assert {slot: counts.reached for slot, counts in found.items()} == {1: True, 2: False, 3: False, 4: False}
        assert found[3].up

    def test_nonsense_is_nothing(self) -> None:
        assert servers_state("Unknown command\n") == {}
        assert statistics("Unknown command\n") == {}


def test_counts_add_up_and_are_compared() -> None:
    both = Counts(True, 1, 10, 2, 1, "L4OK") + Counts(False, 2, 5, 1, 1, "L4CON")
    assert both == Counts(True, 3, 15, 3, 2, "L4OK")
    assert both.since(Counts(True, 9, 5, 1, 2)) == Counts(True, 3, 10, 2, 0, "L4OK")
