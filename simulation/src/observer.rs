//! Looks into the nodes while they run, and tells the invariants of Raft what it sees.

use std::time::Duration;

use watertable::{model::id::GroupId, node::Inspected};

use crate::{
    raft::{self, Look},
    verdict::{Marks, Violation},
    world::World,
};

/// Looks.
pub struct Observer {
    raft: raft::Invariants,
    /// Whether every partition was led at the last look.
    pub is_led: bool,
}

impl Observer {
    /// For a run in which clocks are set by so much, all together.
    pub fn new(clocks_set: Duration) -> Self {
        Self { raft: raft::Invariants::new(clocks_set), is_led: false }
    }

    fn look(world: &World) -> Look {
        let nodes = world.machines.iter().enumerate();
        let up = nodes.filter_map(|(number, machine)| Some((number, machine.node()?)));
        up.map(|(number, node)| {
            (number, node.inspect().into_iter().map(|inspected| (inspected.group, inspected)).collect())
        })
        .collect()
    }

    /// Whether all nodes are members of one cluster.
    pub fn has_joined(&self, world: &World, nodes: usize) -> bool {
        let catalogs = world.machines.iter().filter_map(|machine| Some(machine.node()?.catalog()));
        catalogs.filter(|catalog| catalog.nodes.len() == nodes).count() == nodes
    }

    /// Whether all nodes know the same catalog, every group has a leader that serves, and every replica has applied the
    /// same.
    pub fn has_converged(&self, world: &World) -> bool {
        let catalogs: Vec<_> =
            world.machines.iter().filter_map(|machine| Some(machine.node()?.catalog())).collect();
        let Some(catalog) = catalogs.first() else { return false };
        let look = Self::look(world);
        catalogs.len() == world.machines.len()
            && catalogs.iter().all(|other| other.cluster_id == catalog.cluster_id)
            && Self::agree(&look, GroupId::CATALOG, catalogs.len())
            && catalog.partitions.iter().all(|(group, partition)| {
                let serving =
                    look.values().filter_map(|groups| groups.get(group)).filter(|member| member.serves);
                serving.count() == 1 && Self::agree(&look, *group, partition.replicas.len())
            })
    }

    fn is_led(world: &World, look: &Look) -> bool {
        let Some(catalog) = world.machines.first().and_then(|machine| Some(machine.node()?.catalog())) else {
            return false;
        };
        let leaders = |group: &GroupId| {
            look.values().filter_map(|groups| groups.get(group)).filter(|member| member.serves).count()
        };
        look.len() == world.machines.len() && catalog.partitions.keys().all(|group| leaders(group) == 1)
    }

    /// Whether there are so many members of a group, and each has applied all of its log, and the same.
    fn agree(look: &Look, group: GroupId, count: usize) -> bool {
        let members: Vec<&Inspected> = look.values().filter_map(|groups| groups.get(&group)).collect();
        members.len() == count
            && members.iter().all(|member| {
                member.status.applied.is_some()
                    && member.status.applied.map(|at| at.index) == member.status.last_index
                    && member.status.applied == members[0].status.applied
            })
    }

    /// What the nodes are doing, for a person.
    pub fn state(&self, world: &World) -> String {
        let mut text = String::new();
        for number in 0..world.machines.len() {
            text.push_str(&format!(
                "\nnode-{}{}:",
                number + 1,
                if world.is_up(number) { "" } else { " (down)" }
            ));
            for inspected in Self::look(world).remove(&number).unwrap_or_default().into_values() {
                let status = &inspected.status;
                text.push_str(&format!(
                    "\n  group {} {:?} term {} last {:?} applied {:?} leader {:?} serves {}",
                    inspected.group,
                    status.role,
                    status.term,
                    status.last_index,
                    status.applied,
                    status.leader,
                    inspected.serves
                ));
            }
        }
        text
    }

    /// Looks once.
    pub fn observe(&mut self, world: &World, marks: &mut Marks) -> Result<(), Violation> {
        let look = Self::look(world);
        self.is_led = Self::is_led(world, &look);
        self.raft.look(world, &look, marks)
    }

    /// Judges the end.
    pub fn judge(&mut self, world: &World, marks: &mut Marks) -> Result<(), Violation> {
        raft::replicas_equal(world, &Self::look(world), marks)?;
        raft::catalogs_equal(world, marks)
    }
}
