# SPDX-License-Identifier: Apache-2.0
"""Operations on instances, hooks, policies and refreshes."""

from __future__ import annotations

import uuid

from moto.core.responses import ActionResult, EmptyResult

from local_aws.autoscaling import groups, lifecycle, members, policies, views
from local_aws.autoscaling.api.base import Operations
from local_aws.autoscaling.errors import ValidationError
from local_aws.autoscaling.model import Activity, Group, Policy
from local_aws.autoscaling.refresh import operations


class MemberOperations(Operations):
    """Operations on single instances."""

    def _activities(self, activities: list[Activity]) -> ActionResult:
        """Activities as a reply."""
        return ActionResult({"Activities": [views.activity_view(self.group(), a) for a in activities]})

    def attach_instances(self) -> ActionResult:
        """AttachInstances."""
        members.attach(self.world, self.group(), list(self.given.get("InstanceIds") or []))
        return EmptyResult()

    def detach_instances(self) -> ActionResult:
        """DetachInstances."""
        ids, decrement = list(self.given.get("InstanceIds") or []), bool(self.given["ShouldDecrementDesiredCapacity"])
        return self._activities(members.detach(self.world, self.group(), ids, decrement))

    def enter_standby(self) -> ActionResult:
        """EnterStandby."""
        ids, decrement = list(self.given.get("InstanceIds") or []), bool(self.given["ShouldDecrementDesiredCapacity"])
        return self._activities(members.enter_standby(self.world, self.group(), ids, decrement))

    def exit_standby(self) -> ActionResult:
        """ExitStandby."""
        ids = list(self.given.get("InstanceIds") or [])
        return self._activities(members.exit_standby(self.world, self.group(), ids))

    def set_instance_health(self) -> ActionResult:
        """SetInstanceHealth."""
        respect = self.given.get("ShouldRespectGracePeriod", True)
        members.set_health(self.world, self.given["InstanceId"], self.given["HealthStatus"], bool(respect))
        return EmptyResult()

    def set_instance_protection(self) -> ActionResult:
        """SetInstanceProtection."""
        members.protect(self.group(), list(self.given["InstanceIds"]), bool(self.given["ProtectedFromScaleIn"]))
        return ActionResult({})

    def terminate_instance_in_auto_scaling_group(self) -> ActionResult:
        """TerminateInstanceInAutoScalingGroup."""
        instance_id = self.given.get("InstanceId") or (self.given.get("InstanceIds") or [""])[0]
        group, _unused = members.anywhere(self.world, instance_id)
        activity = members.terminate(self.world, instance_id, bool(self.given["ShouldDecrementDesiredCapacity"]))
        return ActionResult({"Activity": views.activity_view(group, activity)})


class HookOperations(Operations):
    """Operations on lifecycle hooks."""

    def put_lifecycle_hook(self) -> ActionResult:
        """PutLifecycleHook."""
        groups.put_hook(self.group(), self.given)
        return ActionResult({})

    def delete_lifecycle_hook(self) -> ActionResult:
        """DeleteLifecycleHook: instances that wait for it go on, abandoned when launching, continued otherwise."""
        group, name = self.group(), self.given["LifecycleHookName"]
        if group.hooks.pop(name, None) is None:
            raise ValidationError(f"No Lifecycle Hook found with name {name} in group {group.name}")
        for member in group.members.values():
            for wait in member.waits:
                if wait.hook.name == name and wait.result is None:
                    wait.result = "CONTINUE" if member.terminating else "ABANDON"
        return ActionResult({})

    def describe_lifecycle_hooks(self) -> ActionResult:
        """DescribeLifecycleHooks."""
        group, names = self.group(), self.given.get("LifecycleHookNames") or []
        hooks = [views.hook_view(group, hook) for name, hook in group.hooks.items() if not names or name in names]
        return ActionResult({"LifecycleHooks": hooks})

    def describe_lifecycle_hook_types(self) -> ActionResult:
        """DescribeLifecycleHookTypes."""
        return ActionResult({"LifecycleHookTypes": [lifecycle.LAUNCHING, lifecycle.TERMINATING]})

    def complete_lifecycle_action(self) -> ActionResult:
        """CompleteLifecycleAction."""
        given = self.given
        if given["LifecycleActionResult"] not in ("CONTINUE", "ABANDON"):
            raise ValidationError(f"Invalid lifecycle action result: {given['LifecycleActionResult']}")
        wait = lifecycle.find_wait(
            self.group(), given["LifecycleHookName"], given.get("LifecycleActionToken"), given.get("InstanceId")
        )
        wait.result = given["LifecycleActionResult"]
        return ActionResult({})

    def record_lifecycle_action_heartbeat(self) -> ActionResult:
        """RecordLifecycleActionHeartbeat."""
        given = self.given
        wait = lifecycle.find_wait(
            self.group(), given["LifecycleHookName"], given.get("LifecycleActionToken"), given.get("InstanceId")
        )
        lifecycle.heartbeat(self.world, wait)
        return ActionResult({})


class PolicyOperations(Operations):
    """Operations on scaling policies."""

    def put_scaling_policy(self) -> ActionResult:
        """PutScalingPolicy."""
        group, params = self.group(), policies.check_policy(self.given)
        name = params["PolicyName"]
        old = group.policies.get(name)
        arn = (
            old.arn
            if old
            else (
                f"arn:aws:autoscaling:{group.region}:{group.account}:scalingPolicy:{uuid.uuid4()}:"
                f"autoScalingGroupName/{group.name}:policyName/{name}"
            )
        )
        group.policies[name] = Policy(arn, params)
        return ActionResult({"PolicyARN": arn, "Alarms": []})

    def describe_policies(self) -> ActionResult:
        """DescribePolicies, by name or ARN."""
        chosen = [self.group()] if self.given.get("AutoScalingGroupName") else self.all_groups()
        names, kinds = self.given.get("PolicyNames") or [], self.given.get("PolicyTypes") or []
        items = [
            views.policy_view(group, policy)
            for group in chosen
            for name, policy in group.policies.items()
            if (not names or name in names or policy.arn in names) and (not kinds or policy.kind in kinds)
        ]
        return self.page("ScalingPolicies", items)

    def _policy(self) -> tuple[Group, Policy]:
        """The policy that a request names."""
        name = self.given["PolicyName"]
        chosen = [self.group()] if self.given.get("AutoScalingGroupName") else self.all_groups()
        for group in chosen:
            for policy in group.policies.values():
                if policy.arn == name or (
                    self.given.get("AutoScalingGroupName") and policy.params["PolicyName"] == name
                ):
                    return group, policy
        raise ValidationError(f"PolicyName not found - No scaling policy found with name {name}")

    def delete_policy(self) -> ActionResult:
        """DeletePolicy."""
        group, policy = self._policy()
        del group.policies[policy.params["PolicyName"]]
        return EmptyResult()

    def execute_policy(self) -> ActionResult:
        """ExecutePolicy."""
        group, policy = self._policy()
        given = self.given
        policies.execute(
            self.world,
            group,
            policy,
            given.get("MetricValue"),
            given.get("BreachThreshold"),
            bool(given.get("HonorCooldown")),
        )
        return EmptyResult()


class RefreshOperations(Operations):
    """Operations on instance refreshes."""

    def start_instance_refresh(self) -> ActionResult:
        """StartInstanceRefresh."""
        refresh = operations.start(self.world, self.group(), self.given)
        return ActionResult({"InstanceRefreshId": refresh.refresh_id})

    def cancel_instance_refresh(self) -> ActionResult:
        """CancelInstanceRefresh."""
        wait = self.given.get("WaitForTransitioningInstances", True)
        refresh = operations.cancel(self.world, self.group(), bool(wait))
        return ActionResult({"InstanceRefreshId": refresh.refresh_id})

    def rollback_instance_refresh(self) -> ActionResult:
        """RollbackInstanceRefresh."""
        refresh = operations.rollback(self.world, self.group())
        return ActionResult({"InstanceRefreshId": refresh.refresh_id})

    def describe_instance_refreshes(self) -> ActionResult:
        """DescribeInstanceRefreshes, the newest first."""
        group, ids = self.group(), self.given.get("InstanceRefreshIds") or []
        items = [views.refresh_view(group, r) for r in group.refreshes if not ids or r.refresh_id in ids]
        return self.page("InstanceRefreshes", items)
