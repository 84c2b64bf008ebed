//! Panels, one file each: `draw` into an area.

pub mod causes;
pub mod cgroups;
pub mod cpu;
pub mod disks;
pub mod elsewhere;
pub mod filesystems;
pub mod fix;
pub mod footer;
pub mod gauges;
pub mod header;
pub mod memory;
pub mod network;
pub mod peers;
pub mod pressure;
pub mod processes;
pub mod spent;
pub mod table;
pub mod tour;
pub mod verdict;
pub mod way;
pub mod why;
