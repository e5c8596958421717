"""What a job inherits from the shell that starts it: all but what would tell it of another job.

A person may start a run inside an allocation of Slurm's, under torchrun or under MPI, and their variables say
which process of how many this is, and where the others are. Slurm's commands take theirs for options too,
which win over those of the script that is submitted.
"""

import os
import re

OF_ANOTHER_JOB = re.compile(
    r"((LOCAL_|NODE_|GROUP_|ROLE_)?RANK|((LOCAL|GROUP|ROLE)_)?WORLD_SIZE|ROLE_NAME|MASTER_(ADDR|PORT)"
    r"|NCCL_(COMM_ID|HOSTID)|LLAMA_LIFELINE|LLAMA_INTERRUPTED"
    r"|(PET|TORCHELASTIC|OMPI|PMI|PMI2|PMIX|PALS|MPI|HYDRA|FLUX|PBS|LSB)_.*"
    r"|(SLURM|SLURMD|SLURMCTLD|SRUN|SALLOC|SBATCH|SQUEUE|SINFO|SCANCEL|SCONTROL)_.*)"
)
# By these Slurm's commands find their cluster, and who asks.
CLUSTER = re.compile(r"SLURM_(CONF|CONF_SERVER|CLUSTERS|JWT|SACK_.*)")
# What a site asks for, and no recipe says: who pays, and which nodes and how much of their memory.
SITE = re.compile(
    r"SBATCH_(ACCOUNT|QOS|WCKEY|RESERVATION|CONSTRAINT|CLUSTER_CONSTRAINT|NETWORK|BURST_BUFFER"
    r"|MEM_PER_(NODE|CPU|GPU))"
)


def inherited() -> dict[str, str]:
    """Return the environment of this process without what belongs to another job."""
    return {name: value for name, value in os.environ.items() if not OF_ANOTHER_JOB.fullmatch(name)}


def of_slurm() -> dict[str, str]:
    """Return what Slurm's commands, and the jobs that they submit, may know of this process's environment."""
    kept = {n: v for n, v in os.environ.items() if CLUSTER.fullmatch(n) or SITE.fullmatch(n)}
    return inherited() | kept
