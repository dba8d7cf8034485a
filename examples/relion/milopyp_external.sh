#!/bin/bash
# The "External executable" of a RELION 5 job External that picks with milopyp: docs/pipelines.md says how to set it up.
# Edit the next lines so that `milopyp` is found, for example:
#   source /opt/milopyp/bin/activate
#   module load milopyp
# From a container: exec apptainer exec --nv --bind "$PWD" /opt/milopyp.sif milopyp relion "$@"
exec milopyp relion "$@"
