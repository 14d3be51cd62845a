with measurement as (
    select * from staging.stg_omop__measurement
),

lab as (
    select * from marts.concept_set_member where kind = 'lab'
),

concept as (
    select * from staging.stg_vocabulary__concept
),

lab_unit as (
    select * from staging.seed_lab_unit
),

named as (
    select
        measurement.measurement_id,
        measurement.person_id,
        measurement.visit_occurrence_id,
        measurement.measurement_date,
        measurement.measurement_datetime,
        measurement.measurement_concept_id,
        lab.concept_set as lab,
        lab.title,
        measurement.value_as_number as recorded_value,
        case
            when measurement.unit_concept_id <> 0 then coalesce(unit.concept_code, measurement.unit_source_value)
            else measurement.unit_source_value
        end as recorded_unit
    from measurement
    inner join lab on measurement.measurement_concept_id = lab.concept_id
    left join concept as unit on measurement.unit_concept_id = unit.concept_id
    where measurement.value_as_number is not null
),

final as (
    select
        named.measurement_id,
        named.person_id,
        named.visit_occurrence_id,
        named.measurement_date,
        named.measurement_datetime,
        named.measurement_concept_id,
        named.lab,
        named.title,
        named.recorded_value * lab_unit.factor + lab_unit.addend as lab_value,
        lab_unit.standard_unit as unit,
        named.recorded_value,
        named.recorded_unit
    from named
    left join lab_unit on named.lab = lab_unit.concept_set and named.recorded_unit = lab_unit.unit_code
)

select * from final
